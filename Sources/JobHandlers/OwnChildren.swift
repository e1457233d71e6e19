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
  ///
  /// - Parameter listedApart: the calling thread is not the one whose list of children is searched (`Strays.goesByThread`), so
  ///   searches and other starts need not wait for it.
  /// - Returns: the error number when `spawn` failed.
  package func start(listedApart: Bool = false, _ spawn: () -> SpawnResult) -> Int32? {
    guard listedApart else { return pids.withLock { pids in note(spawn()) { pids.insert($0) } } }
    return note(spawn(), add)
  }

  private func note(_ result: SpawnResult, _ keep: (Int32) -> Void) -> Int32? {
    switch result {
    case .success(let pid):
      keep(pid)
      return nil
    case .failure(let error): return error
    }
  }

  /// What a start came to: the child, or the error number.
  package enum SpawnResult: Sendable {
    case success(Int32)
    case failure(Int32)
  }
}
