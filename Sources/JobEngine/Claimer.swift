/// The disk's part of several claims, which is half of what a claim costs: another thread makes them, in their order, while
/// the engine's own goes on with those that are made, and takes its share of the rest when it has nothing else to do. All of
/// it is in one turn of the engine, so nobody sees a job between the two parts.
internal import CSpoolShims
internal import Glibc
internal import SpoolStore

final class Claimer {
  typealias Move = Result<ClaimMove, SpoolError>

  /// For fewer it is not worth waking another thread.
  private static let fewest = 4

  private let desk: Desk
  private var thread: WorkThread?

  init(_ spool: Spool) { desk = Desk(ClaimMoves(spool)) }

  deinit { stop() }

  /// Begins to claim these. All of them have to be asked for with `next` before it is called again.
  ///
  /// - Parameter limit: bytes a job may have.
  func begin(_ ids: [String], limit: Int) {
    // A system that has no thread to spare gets its jobs run all the same.
    if ids.count >= Claimer.fewest, thread == nil { thread = try? WorkThread { [desk] in desk.work() } }
    desk.put(ids, limit, wakes: ids.count >= Claimer.fewest)
  }

  /// What became of the next of them; nil when there are no more.
  ///
  /// - Parameter pastime: done, once, if the answer is not there yet.
  func next(_ pastime: () -> Void) -> Move? { desk.next(pastime) }

  /// Lets the thread end. Nothing may be under way.
  func stop() {
    desk.close()
    thread?.join()
    thread = nil
  }

  /// What both threads see.
  private final class Desk: @unchecked Sendable {
    private let claims: ClaimMoves
    private var mutex = pthread_mutex_t()
    private var arrived = pthread_cond_t()
    private var made = pthread_cond_t()
    private var ids: [String] = []
    private var limit = 0
    private var moves: [Move?] = []
    /// So many are made or being made.
    private var begun = 0
    private var asked = 0
    private var isAwaited = false
    private var isClosed = false

    init(_ claims: ClaimMoves) {
      self.claims = claims
      pthread_mutex_init(&mutex, nil)
      pthread_cond_init(&arrived, nil)
      pthread_cond_init(&made, nil)
    }

    deinit {
      pthread_cond_destroy(&made)
      pthread_cond_destroy(&arrived)
      pthread_mutex_destroy(&mutex)
    }

    func put(_ ids: [String], _ limit: Int, wakes: Bool) {
      pthread_mutex_lock(&mutex)
      precondition(asked == self.ids.count, "one batch at a time")
      (self.ids, self.limit, begun, asked) = (ids, limit, 0, 0)
      moves = Array(repeating: nil, count: ids.count)
      pthread_mutex_unlock(&mutex)
      // Under the lock, it would wake only to wait for us.
      if wakes { pthread_cond_signal(&arrived) }
    }

    func next(_ pastime: () -> Void) -> Move? {
      var isIdle = false
      pthread_mutex_lock(&mutex)
      defer { pthread_mutex_unlock(&mutex) }
      while asked < ids.count {
        if let move = moves[asked] {
          moves[asked] = nil
          asked += 1
          return move
        }
        if !isIdle {
          isIdle = true
          pthread_mutex_unlock(&mutex)
          pastime()
          pthread_mutex_lock(&mutex)
        } else if begun < ids.count {
          makeOne()
        } else {
          isAwaited = true
          pthread_cond_wait(&made, &mutex)
          isAwaited = false
        }
      }
      return nil
    }

    func work() {
      pthread_mutex_lock(&mutex)
      defer { pthread_mutex_unlock(&mutex) }
      while true {
        while begun == ids.count && !isClosed { pthread_cond_wait(&arrived, &mutex) }
        if isClosed { return }
        makeOne()
        if isAwaited { pthread_cond_signal(&made) }
      }
    }

    /// Under the lock, which is given back meanwhile.
    private func makeOne() {
      let index = begun
      let (id, limit) = (ids[index], limit)
      begun += 1
      pthread_mutex_unlock(&mutex)
      let move: Move
      do throws(SpoolError) {
        move = .success(try claims.claimFirst(id, limit: limit))
      } catch {
        move = .failure(error)
      }
      pthread_mutex_lock(&mutex)
      moves[index] = move
    }

    func close() {
      pthread_mutex_lock(&mutex)
      isClosed = true
      pthread_mutex_unlock(&mutex)
      pthread_cond_signal(&arrived)
    }
  }
}
