import Glibc
import SpoolWatch
import Testing

@Suite("Bursts lose no arrival without saying so", .serialized) struct BurstTests {
  @Test("20,000 files at once: every name, or the word to look again")
  func burst() throws {
    let folder = try WatchFolder("new")
    let watcher = try folder.watcher("new")
    let expected = Set((0..<20_000).map { "job-\($0).json" })
    var missing = expected
    var lookAgain = false
    func note(_ events: [WatchEvent]) {
      for event in events {
        if case .arrived("new", let name) = event { missing.remove(name) }
        if event == .lookAgain { lookAgain = true }
      }
    }
    for (count, name) in expected.enumerated() {
      symlink("/nowhere", folder.path("new/" + name))
      if count % 64 == 0 { note(watcher.read()) }
    }
    while !missing.isEmpty && !lookAgain {
      let events = watcher.next(timeout: patience)
      if events.isEmpty { break }
      note(events)
    }
    #expect(missing.isEmpty || lookAgain)
  }

  @Test("an overflow of the kernel's queue says: look again, and the watch goes on")
  func kernelOverflow() throws {
    let limit = Int(contents(of: "/proc/sys/fs/inotify/max_queued_events").dropLast()) ?? 16_384
    let folder = try WatchFolder("new")
    let watcher = try folder.watcher("new")
    let pid = try #require(watcher.pid)
    // Stopped, it empties nothing: the queue fills whatever the machine's speed.
    kill(pid, SIGSTOP)
    var status = 0 as Int32
    #expect(waitpid(pid, &status, WUNTRACED) == pid)
    for number in 0..<limit + 100 { symlink("/nowhere", folder.path("new/\(number)")) }
    kill(pid, SIGCONT)
    let events = watcher.collect { $0.contains(.lookAgain) }
    #expect(events.count > 1)
    folder.drop("after.json")
    let last = WatchEvent.arrived(directory: "new", name: "after.json")
    #expect(watcher.collect { $0.contains(last) }.last == last)
  }

  @Test("a reader that does not read: bounded memory, then: look again, and the watch goes on")
  func slowReader() throws {
    let folder = try WatchFolder("new")
    let watcher = try folder.watcher("new")
    let pid = try #require(watcher.pid)
    // Fewer events than the kernel's queue holds, but more bytes than the backlog and the pipe.
    let padding = String(repeating: "x", count: 240)
    for number in 0..<8000 { symlink("/nowhere", folder.path("new/\(padding)-\(number)")) }
    // Its main thread sleeps only when the queue is empty; three looks, since it also sleeps a moment for a lock.
    var asleep = 0
    while asleep < 3 {
      let state = contents(of: "/proc/\(pid)/task/\(pid)/stat").split(separator: ") ").last?.first
      asleep = state == "S" ? asleep + 1 : 0
      usleep(10_000)
    }
    let resident = contents(of: "/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix("VmRSS") }
    let kilobytes = resident.flatMap { Int($0.filter(\.isNumber)) } ?? .max
    #expect(kilobytes < 32_000)
    let events = watcher.collect { $0.contains(.lookAgain) }
    #expect(events.count > 4000 && events.count < 8000)
    folder.drop("after.json")
    #expect(watcher.collect { !$0.isEmpty }.last == .arrived(directory: "new", name: "after.json"))
  }
}
