/// The thread that makes the disk's part of claims, several at a time, while the engine's own goes on with those before: it
/// is half of what a claim costs. Both are in the same turn of the engine, so nobody else sees a job between the two.
internal import CSpoolShims
internal import Glibc
internal import SpoolStore

final class Claimer {
  typealias Moves = [Result<ClaimMove, SpoolError>]

  /// For fewer it is not worth waking another thread.
  private static let fewest = 4

  private let desk: Desk
  private var thread: WorkThread?
  /// To be done by `finish` itself.
  private var own: [String] = []
  private var limit = 0

  init(_ spool: Spool) { desk = Desk(ClaimMoves(spool)) }

  deinit { stop() }

  /// Begins to claim these; `finish` has to follow.
  ///
  /// - Parameter limit: bytes a job may have.
  func begin(_ ids: [String], limit: Int) {
    self.limit = limit
    own = ids
    guard ids.count >= Claimer.fewest else { return }
    if thread == nil { thread = try? WorkThread { [desk] in desk.work() } }
    // A system that has no thread to spare gets its jobs run all the same.
    guard thread != nil else { return }
    own = []
    desk.hand(ids, limit)
  }

  /// What became of them, in their order.
  func finish() -> Moves {
    defer { own = [] }
    return desk.take() + own.map { id in desk.claim(id, limit) }
  }

  /// What is not wanted any more goes back to where it was.
  func giveBack(_ move: ClaimMove) {
    if case .file(let file) = move { desk.claims.giveBack(file) }
  }

  /// Lets the thread end. Nothing may be under way.
  func stop() {
    desk.close()
    thread?.join()
    thread = nil
  }

  /// What both threads see.
  private final class Desk: @unchecked Sendable {
    let claims: ClaimMoves
    private var mutex = pthread_mutex_t()
    private var changed = pthread_cond_t()
    private var ids: [String] = []
    private var limit = 0
    private var moves: Moves = []
    private var isUnderWay = false
    private var isClosed = false

    init(_ claims: ClaimMoves) {
      self.claims = claims
      pthread_mutex_init(&mutex, nil)
      pthread_cond_init(&changed, nil)
    }

    deinit {
      pthread_cond_destroy(&changed)
      pthread_mutex_destroy(&mutex)
    }

    func claim(_ id: String, _ limit: Int) -> Result<ClaimMove, SpoolError> {
      do throws(SpoolError) {
        return .success(try claims.claimFirst(id, limit: limit))
      } catch {
        return .failure(error)
      }
    }

    func hand(_ ids: [String], _ limit: Int) {
      pthread_mutex_lock(&mutex)
      precondition(!isUnderWay, "one batch at a time")
      (self.ids, self.limit, isUnderWay) = (ids, limit, true)
      pthread_mutex_unlock(&mutex)
      // Under the lock, it would wake only to wait for us.
      pthread_cond_signal(&changed)
    }

    /// Waits for the end of what is under way.
    func take() -> Moves {
      pthread_mutex_lock(&mutex)
      defer { pthread_mutex_unlock(&mutex) }
      while isUnderWay { pthread_cond_wait(&changed, &mutex) }
      defer { moves = [] }
      return moves
    }

    func close() {
      pthread_mutex_lock(&mutex)
      isClosed = true
      pthread_mutex_unlock(&mutex)
      pthread_cond_signal(&changed)
    }

    func work() {
      while true {
        pthread_mutex_lock(&mutex)
        while ids.isEmpty && !isClosed { pthread_cond_wait(&changed, &mutex) }
        let batch = ids
        let limit = limit
        ids = []
        pthread_mutex_unlock(&mutex)
        if batch.isEmpty { return }
        let made = batch.map { claim($0, limit) }
        pthread_mutex_lock(&mutex)
        moves = made
        isUnderWay = false
        pthread_mutex_unlock(&mutex)
        pthread_cond_signal(&changed)
      }
    }
  }
}
