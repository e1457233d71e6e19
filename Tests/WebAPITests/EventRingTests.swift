import JobModel
import NIOCore
import SpoolHistory
import Testing

@testable import WebAPI

@Suite("What listeners still have to be sent") struct EventRingTests {
  private func entry(_ id: String, _ line: UInt32, type: String, _ frames: inout ByteBuffer) -> EventBatch.Entry {
    ServerFrame.write(.text, Array(id.utf8), to: &frames)
    var row = JobRow(
      id: id, state: .new, phase: .ready, submittedAt: WallTime(seconds: 1), updatedAt: WallTime(seconds: 1))
    row.type = type
    return EventBatch.Entry(sequence: line, row: row, isKept: true, end: frames.writerIndex)
  }

  private func append(_ ring: inout EventRing, _ lines: ClosedRange<UInt32>) {
    var frames = ByteBuffer()
    let entries = lines.map { entry("job-\($0)", $0, type: $0 % 2 == 0 ? "even" : "odd", &frames) }
    ring.append(entries, frames)
  }

  private func ids(_ pieces: [ByteBuffer]) -> [String] {
    var ids: [String] = []
    for piece in pieces {
      var rest = piece
      while rest.readableBytes > 2 {
        let length = rest.readBytes(length: 2)?.last ?? 0
        ids.append(rest.readString(length: Int(length)) ?? "")
      }
    }
    return ids
  }

  private func all(_ ring: EventRing, from start: EventRing.Resumption) -> [String] {
    var position = start.position
    var heard: [String] = []
    while case .batch(let batch) = ring.find(position) {
      heard += ids(batch.pieces(for: HistoryQuery(), from: position, after: start.after))
      position = batch.next
    }
    return heard
  }

  @Test("each kind of listener gets what it asked for, in as few pieces as there are gaps")
  func pieces() {
    var ring = EventRing()
    append(&ring, 1...6)
    guard case .batch(let batch) = ring.find(0) else { return #expect(Bool(false), "there is a batch") }
    let everything = batch.pieces(for: .init(filter: HistoryQuery(), seesAll: true))
    #expect(everything.count == 1)
    #expect(ids(everything) == (1...6).map { "job-\($0)" })
    var even = HistoryQuery()
    even.types = ["even"]
    for _ in 0..<2 { #expect(ids(batch.pieces(for: .init(filter: even))) == ["job-2", "job-4", "job-6"]) }
    #expect(batch.pieces(for: .init(filter: nil, seesAll: true)).isEmpty)
  }

  @Test("it stays bounded, and who fell behind is told so")
  func bounds() {
    var ring = EventRing(mostBytes: 1 << 20, mostEntries: 100)
    for number in 0..<50 as Range<UInt32> { append(&ring, number * 10 + 1...number * 10 + 10) }
    #expect(ring.batches.reduce(0) { $0 + $1.entries.count } == 100)
    guard case .gone = ring.find(399) else { return #expect(Bool(false), "what was dropped is gone") }
    guard case .batch = ring.find(400) else { return #expect(Bool(false), "what is kept is found") }
    guard case .nothing = ring.find(500) else { return #expect(Bool(false), "nothing is new") }
    #expect(ring.floor == 400)
    var small = EventRing(mostBytes: 200, mostEntries: 1000)
    for number in 1...50 as ClosedRange<UInt32> { append(&small, number...number) }
    #expect(small.batches.reduce(0) { $0 + $1.size } <= 200)
    // One batch is kept however large it is.
    append(&small, 51...150)
    #expect(small.batches.count == 1)
  }

  @Test("who was cut off goes on after the last line it saw, also when that was no job's or came late")
  func resumption() throws {
    var ring = EventRing()
    ring.begin(after: 10)
    append(&ring, 11...13)
    // An end that was held back comes later than its number says.
    var frames = ByteBuffer()
    ring.append([entry("job-16", 16, type: "odd", &frames), entry("job-14", 14, type: "odd", &frames)], frames)
    append(&ring, 17...18)
    #expect(ring.resumption(after: 9)?.position == nil)
    #expect(
      all(ring, from: try #require(ring.resumption(after: 12))) == ["job-13", "job-16", "job-14", "job-17", "job-18"])
    #expect(all(ring, from: try #require(ring.resumption(after: 14))) == ["job-17", "job-18"])
    // Line 15 was an alert.
    #expect(all(ring, from: try #require(ring.resumption(after: 15))) == ["job-16", "job-17", "job-18"])
    #expect(all(ring, from: try #require(ring.resumption(after: 18))) == [])
    ring.clear()
    #expect(all(ring, from: try #require(ring.resumption(after: 18))) == [])
  }

  @Test("frames have the length of RFC 6455, section 5.2", arguments: [0, 125, 126, 65_535, 65_536])
  func frames(_ count: Int) {
    let frame = ServerFrame.make(.text, [UInt8](repeating: 120, count: count))
    let head = count < 126 ? 2 : count < 65_536 ? 4 : 10
    #expect(frame.readableBytes == count + head)
    #expect(frame.getInteger(at: 0, as: UInt8.self) == 0x81)
    #expect(frame.getInteger(at: 1, as: UInt8.self) == (count < 126 ? UInt8(count) : count < 65_536 ? 126 : 127))
    if head == 4 { #expect(frame.getInteger(at: 2, as: UInt16.self) == UInt16(count)) }
    if head == 10 { #expect(frame.getInteger(at: 2, as: UInt64.self) == UInt64(count)) }
  }
}
