/// A copy of a file that was not ours alone, on its way into that file's place. It is written at once; its sync may be
/// shared with others, and the rename follows that. What happens when is said in `Transitions+Adopting.swift`.
internal import JobModel

package final class Adoption {
  package let id: String
  /// The copy; the claim it belongs to closes it.
  package let fileDescriptor: Int32
  /// Where the original lies.
  let state: JobState
  /// It is where the original was. Until then that one lies there as it was claimed.
  package internal(set) var isPlaced = false
  /// What it holds, until it is in its place.
  var bytes: [UInt8]
  /// A sync failed: what the kernel still has of it is anyone's guess.
  var isDoubtful = false

  init(_ id: String, in state: JobState, fileDescriptor: Int32, bytes: [UInt8]) {
    self.id = id
    self.state = state
    self.fileDescriptor = fileDescriptor
    self.bytes = bytes
  }

  /// Before another sync is believed, everything has to be written again.
  package func syncFailed() { isDoubtful = true }
}
