/// What the audit log says of every job, in memory, for programs that stay and are asked often: the web program and `top`.
///
/// Lines may come in any order of files: of two lines about a job the newer decides where it is, an older one only adds
/// what is not known yet. So the newest file is read first, and its jobs can be shown while the rest is still being read.
/// A million jobs take some 150 MB. Nothing here reads the disk or a clock, and nothing here is locked: `HistoryFeed` does both.
internal import Glibc
internal import JobModel
internal import SpoolStore

package final class HistoryIndex {
  var rows = RowTable()
  let types = TextTable()
  /// Lists of tags as JSON.
  let tags = TextTable()
  /// `uid`, user and subject with zero bytes between.
  let submitters = TextTable()
  /// Type, code and message with zero bytes between.
  let errors = TextTable()
  /// The group of each error: type, code and folded message with zero bytes between.
  let groups = TextTable()
  var groupOfError: [UInt32] = [0]
  /// By type and standing.
  var counts: [Int] = Array(repeating: 0, count: 16)
  /// By day since 1970.
  var days: [Int64: DayNumbers] = [:]
  var lastDay: (day: Int64, numbers: DayNumbers)?
  var minutes = RecentNumbers()
  var kin = KinLists()
  /// What waiting jobs wait for.
  var parents: [UInt32: WaitsFor] = [:]
  /// Waiting rows whose file has not been looked at for what the log does not say: when they are due, their parents.
  var unlooked: [UInt32] = []
  /// Rows whose newest line (a hold, a release from it) does not tell the attempt and error they keep: until when that is
  /// known from older lines.
  var openAttempts: [UInt32: Int64] = [:]
  var nodes: [String] = []
  /// By schedule, microseconds.
  package internal(set) var successes: [String: Int64] = [:]
  /// By type; `all` for everything.
  var switches: [String: Switch] = [:]
  /// While older lines come after newer ones: when jobs went, by the hash of their id. Their earlier lines make no row.
  private var gone: [UInt64: Int64]?
  var scratch: [UInt8] = []
  /// The newest line there is.
  package internal(set) var lastSequence: UInt32 = 0
  /// The types whose `redact` points into `meta`.
  let redactions: [String: Redaction]

  struct WaitsFor {
    var after: [Job.Parent]
    var evenIfDead: Bool
  }

  /// - Parameter redactions: of types that hide something outside of their payload.
  package init(redactions: [String: Redaction] = [:]) { self.redactions = redactions }

  /// Bytes in use, without the numbers of days.
  package var size: Int {
    rows.size + types.size + tags.size + submitters.size + errors.size + groups.size + parents.count * 96
  }

  package var jobCount: Int { rows.used }

  /// The number by which rows name this node's log; those of more than fifteen nodes are told apart by time alone.
  func number(ofNode name: String) -> UInt8 {
    if let known = nodes.firstIndex(of: name) { return UInt8(min(known, 15)) }
    nodes.append(name)
    return UInt8(min(nodes.count - 1, 15))
  }

  /// The row for an id, made when there is none.
  func row(for id: UnsafeRawBufferPointer) -> Int? { rows.find(id) ?? rows.insert(id) }

  func find(_ id: String) -> Int? {
    var id = id
    return id.withUTF8 { rows.find(UnsafeRawBufferPointer($0)) }
  }

  /// Changes a row and keeps all counts in step.
  @inline(__always)
  func change(_ row: Int, _ body: (inout HistoryRow) -> Void) {
    let place = rows[row]
    let (type, standing) = (place.pointee.type, place.pointee.standing)
    body(&place.pointee)
    if place.pointee.type != type || place.pointee.standing != standing {
      if standing != .gone { counts[Int(type) << 4 | Int(standing.rawValue)] -= 1 }
      if place.pointee.standing != .gone {
        let slot = Int(place.pointee.type) << 4 | Int(place.pointee.standing.rawValue)
        while slot >= counts.count { counts.append(contentsOf: repeatElement(0, count: 256)) }
        counts[slot] += 1
      }
    }
    rows.note(row, was: standing)
  }

  /// From here to the end of it older lines come after newer ones.
  func beginsBackwards() { gone = [:] }
  func endsBackwards() { gone = nil }

  /// A job was removed, and no newer line about it is known.
  func noteGone(_ id: UnsafeRawBufferPointer, at time: Int64) { gone?[TextHash.of(id)] = time }

  /// Whether it was removed after that time.
  func isGone(_ id: UnsafeRawBufferPointer, since time: Int64) -> Bool {
    guard let gone, !gone.isEmpty else { return false }
    return gone[TextHash.of(id)].map { time <= $0 } ?? false
  }

  /// Forgets a job that has no file any more.
  func remove(_ row: Int) {
    change(row) { $0.standing = .gone }
    forgetKin(row)
    parents[UInt32(row)] = nil
    openAttempts[UInt32(row)] = nil
    rows.remove(row)
  }

  func number(ofType name: UnsafeRawBufferPointer) -> UInt16 {
    let number = types.intern(name)
    // Producers may invent types without end; the rest shares the place of those that have none.
    return number < 4096 ? UInt16(number) : 0
  }

  func setMeta(_ row: Int, _ json: UnsafeRawBufferPointer) {
    // Many producers write letters beyond ASCII as escapes; people search for the letters.
    if let base = json.baseAddress, memchr(base, 0x5C, json.count) != nil,
      let value = try? JSONReader.parse(Array(json), slack: 8)
    {
      var writer = JSONWriter(reserving: json.count)
      writer.value(value)
      return writer.bytes.withUnsafeBytes { keepMeta(row, $0) }
    }
    keepMeta(row, json)
  }

  private func keepMeta(_ row: Int, _ json: UnsafeRawBufferPointer) {
    let masked: [UInt8]? =
      redactions.isEmpty
      ? nil : redactions[types.string(UInt32(rows[row].pointee.type))].map { $0.apply(toMeta: Array(json)) }
    let store: (UnsafeRawBufferPointer) -> Void = { [rows] text in
      guard text.count <= 65_535, let place = rows.arena.add(text) else { return }
      rows[row].pointee.meta = place
      rows[row].pointee.metaLength = UInt16(text.count)
    }
    if let masked { masked.withUnsafeBytes(store) } else { store(json) }
  }

  func setKin(_ row: Int, batch: UnsafeRawBufferPointer?, parent: UnsafeRawBufferPointer?) {
    let names = (batch.map { Array($0.prefix(255)) } ?? []) + (parent.map { Array($0.prefix(255)) } ?? [])
    guard !names.isEmpty, let place = names.withUnsafeBytes({ rows.arena.add($0) }) else { return }
    rows[row].pointee.kin = place
    rows[row].pointee.batchLength = UInt8(min(batch?.count ?? 0, 255))
    rows[row].pointee.parentLength = UInt8(min(parent?.count ?? 0, 255))
    noteKin(row)
  }

  /// The number of an error, and with it of its group.
  func number(ofError code: String, _ message: String, type: String) -> UInt32 {
    let number = errors.intern("\(type)\0\(code)\0\(message.prefix(2000))")
    while groupOfError.count <= Int(number) { groupOfError.append(0) }
    if groupOfError[Int(number)] == 0 {
      groupOfError[Int(number)] = groups.intern("\(type)\0\(code)\0\(FoldedMessage.of(message))")
    }
    return number
  }
}
