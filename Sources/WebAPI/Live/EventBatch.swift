/// Messages that came at one moment, in the very bytes that go out: encoded once, however many listen. What one kind of listener
/// gets of them is worked out once too.
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import SpoolHistory

final class EventBatch: Sendable {
  /// What a listener hears: jobs that match, if it asked for jobs; news of the whole queue, if its role may.
  struct Audience: Sendable, Equatable {
    var filter: HistoryQuery?
    var seesAll = false
  }

  struct Entry: Sendable {
    /// The line of the audit log; 0 for news that are about no job.
    var sequence: UInt32
    /// nil: for everybody who sees all.
    var row: JobRow?
    /// It can be had again by `since`.
    var isKept: Bool
    /// Where its frame ends.
    var end: Int
  }

  /// Entries are numbered in the order of their publication, without gaps.
  let first: UInt64
  let entries: [Entry]
  private let frames: ByteBuffer
  private let known = NIOLockedValueBox<[(audience: Audience, pieces: [Range<Int>])]>([])
  /// Kinds of listeners that are remembered; those beyond have their share worked out each by itself.
  private static let mostKnown = 32

  init(first: UInt64, entries: [Entry], frames: ByteBuffer) {
    (self.first, self.entries, self.frames) = (first, entries, frames)
  }

  var next: UInt64 { first + UInt64(entries.count) }
  var size: Int { frames.readableBytes }

  /// What goes to these listeners, in as few pieces as possible.
  func pieces(for audience: Audience) -> [ByteBuffer] {
    if let found = known.withLockedValue({ list in list.first { $0.audience == audience }?.pieces }) {
      return found.map(slice)
    }
    let pieces = ranges { entry in
      guard let row = entry.row else { return audience.seesAll }
      return audience.filter?.matches(row) ?? false
    }
    known.withLockedValue { if $0.count < EventBatch.mostKnown { $0.append((audience, pieces)) } }
    return pieces.map(slice)
  }

  /// What one who goes on after a cut gets: job news from a number of our own on, and if `after` is given, only later lines.
  func pieces(for filter: HistoryQuery, from index: UInt64, after: UInt32?) -> [ByteBuffer] {
    var number = first
    return ranges { entry in
      defer { number += 1 }
      guard number >= index, entry.isKept, after.map({ entry.sequence > $0 }) ?? true, let row = entry.row else {
        return false
      }
      return filter.matches(row)
    }.map(slice)
  }

  private func ranges(_ isWanted: (Entry) -> Bool) -> [Range<Int>] {
    var pieces: [Range<Int>] = []
    var start = 0
    for entry in entries {
      if isWanted(entry) {
        if let last = pieces.last, last.upperBound == start {
          pieces[pieces.count - 1] = last.lowerBound..<entry.end
        } else {
          pieces.append(start..<entry.end)
        }
      }
      start = entry.end
    }
    return pieces
  }

  private func slice(_ range: Range<Int>) -> ByteBuffer {
    frames.getSlice(at: range.lowerBound, length: range.count) ?? ByteBuffer()
  }
}
