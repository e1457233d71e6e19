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

  /// Starts a child and adds it in one step, so that no search in between takes it for a stray.
  /// Returns the error number when `spawn` failed.
  package func start(_ spawn: () -> SpawnResult) -> Int32? {
    pids.withLock { pids in
      switch spawn() {
      case .success(let pid):
        pids.insert(pid)
        return nil
      case .failure(let error): return error
      }
    }
  }

  /// What posix_spawn(3) gave: the child, or the error number.
  package enum SpawnResult {
    case success(Int32)
    case failure(Int32)
  }
}
