/// The machine under the spool: load, memory, disk. What the kernel does not tell is left out.
internal import Glibc
internal import JobModel
internal import NIOConcurrencyHelpers
internal import SpoolStore

struct Machine: Sendable {
  /// The share of all processors that was busy since the last look.
  var cpu: Double?
  var memory: Int?
  var memoryTotal: Int?
  var diskFree: Int?
  var diskTotal: Int?
  var load: Double?

  private static let lastTicks = NIOLockedValueBox<(busy: Int, all: Int)?>(nil)

  static func now(_ spool: Spool) -> Machine {
    var machine = Machine()
    machine.readProcessors()
    machine.readMemory()
    var loads = [0.0, 0.0, 0.0]
    if getloadavg(&loads, 3) > 0 { machine.load = loads[0] }
    var disk = statvfs()
    if fstatvfs(spool.root, &disk) == 0 {
      machine.diskFree = Int(disk.f_bavail) * Int(disk.f_frsize)
      machine.diskTotal = Int(disk.f_blocks) * Int(disk.f_frsize)
    }
    return machine
  }

  private mutating func readProcessors() {
    guard let line = Machine.lines("/proc/stat").first else { return }
    let ticks = line.split(separator: " ").dropFirst().compactMap { Int($0) }
    guard ticks.count >= 5 else { return }
    let all = ticks.prefix(8).reduce(0, +)
    let now = (busy: all - ticks[3] - ticks[4], all: all)
    let last = Machine.lastTicks.withLockedValue { last in
      defer { last = now }
      return last
    }
    let span = all - (last?.all ?? 0)
    if span > 0 { cpu = Double(now.busy - (last?.busy ?? 0)) / Double(span) }
  }

  private mutating func readMemory() {
    var kilobytes: [Substring: Int] = [:]
    let lines = Machine.lines("/proc/meminfo")
    for line in lines {
      let parts = line.split(separator: " ")
      if parts.count >= 2 { kilobytes[parts[0]] = Int(parts[1]) }
    }
    guard let total = kilobytes["MemTotal:"], let free = kilobytes["MemAvailable:"] else { return }
    memory = (total - free) * 1024
    memoryTotal = total * 1024
  }

  private static func lines(_ path: String) -> [Substring] {
    guard let file = fopen(path, "r") else { return [] }
    defer { fclose(file) }
    var buffer = [UInt8](repeating: 0, count: 8192)
    let got = fread(&buffer, 1, buffer.count, file)
    return String(decoding: buffer[..<got], as: UTF8.self).split(separator: "\n")
  }

  func write(to writer: inout JSONWriter) {
    writer.beginObject()
    for (key, value) in [("cpu", cpu), ("load1", load)] {
      guard let value else { continue }
      writer.key(escaping: key)
      writer.double((value * 1000).rounded() / 1000)
    }
    for (key, value) in [
      ("memory_bytes", memory), ("memory_total_bytes", memoryTotal), ("disk_free_bytes", diskFree),
      ("disk_total_bytes", diskTotal),
    ] {
      guard let value else { continue }
      writer.key(escaping: key)
      writer.int(value)
    }
    writer.endObject()
  }
}
