/// What a `Watcher` has to say. Every event is a hint: the directories are the truth.
package enum WatchEvent: Sendable, Equatable {
  /// A file appeared in the directory known as `directory`. It may be gone again, or reported twice.
  case arrived(directory: String, name: String)
  /// A file left it (only when asked for).
  case removed(directory: String, name: String)
  /// Something may have been missed: scan. The first event after every start, when the watches stand, so that a scan
  /// made on it leaves no gap.
  case lookAgain
  /// The watcher is gone and its descriptor closed; poll, or call `restart` after a while.
  case ended(reason: String)
}

/// Why there is no watcher. Whoever gets this polls instead.
package struct WatchProblem: Error, Sendable, Equatable, CustomStringConvertible {
  /// What failed, where, and what to do about it.
  package var message: String
  package var description: String { message }

  package init(_ message: String) { self.message = message }
}
