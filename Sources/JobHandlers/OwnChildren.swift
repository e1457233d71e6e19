internal import Glibc
internal import Synchronization

/// The children this process started on purpose. As a child subreaper it also becomes the parent of whatever handlers
/// leave behind, and the search for strays must be able to tell the two apart.
///
/// Who starts a process by other means than a handler (the watcher, the web program) adds its pid here at once, and
/// removes it after reaping it.
package final class OwnChildren: Sendable {
  /// There is one set per process because there is one set of children per process.
  package static let shared = OwnChildren()

  private let pids = Mutex<Set<Int32>>([])

  package func add(_ pid: Int32) { pids.withLock { _ = $0.insert(pid) } }
  package func remove(_ pid: Int32) { pids.withLock { _ = $0.remove(pid) } }
  package func contains(_ pid: Int32) -> Bool { pids.withLock { $0.contains(pid) } }

  /// Held, shared, while a child is started that is listed apart.
  private let startingApart = ReadWriteLock()

  /// Starts a child and adds it in one step, so that no search in between takes it for a stray.
  ///
  /// - Parameter listedApart: the calling thread is not the one whose list of children is searched, so a search that reads
  ///   the list need not wait; one that has to go by parents alone does (`betweenStarts`).
  /// - Returns: the error number when `spawn` failed.
  package func start(listedApart: Bool = false, _ spawn: () -> SpawnResult) -> Int32? {
    guard listedApart else { return pids.withLock { pids in note(spawn()) { pids.insert($0) } } }
    return startingApart.withReading { note(spawn(), add) }
  }

  private func note(_ result: SpawnResult, _ keep: (Int32) -> Void) -> Int32? {
    switch result {
    case .success(let pid):
      keep(pid)
      return nil
    case .failure(let error): return error
    }
  }

  /// A moment in which no child that is listed apart is half started.
  package func betweenStarts<T>(_ look: () -> T) -> T { startingApart.withWriting(look) }

  /// What a start came to: the child, or the error number.
  package enum SpawnResult: Sendable {
    case success(Int32)
    case failure(Int32)
  }
}

/// A POSIX lock for many or one; the one does not wait for those who come after it.
private final class ReadWriteLock: @unchecked Sendable {
  private let lock = UnsafeMutablePointer<pthread_rwlock_t>.allocate(capacity: 1)

  init() {
    var attributes = pthread_rwlockattr_t()
    pthread_rwlockattr_init(&attributes)
    pthread_rwlockattr_setkind_np(&attributes, Int32(PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP))
    pthread_rwlock_init(lock, &attributes)
    pthread_rwlockattr_destroy(&attributes)
  }

  deinit {
    pthread_rwlock_destroy(lock)
    lock.deallocate()
  }

  func withReading<T>(_ body: () -> T) -> T {
    pthread_rwlock_rdlock(lock)
    defer { pthread_rwlock_unlock(lock) }
    return body()
  }

  func withWriting<T>(_ body: () -> T) -> T {
    pthread_rwlock_wrlock(lock)
    defer { pthread_rwlock_unlock(lock) }
    return body()
  }
}
