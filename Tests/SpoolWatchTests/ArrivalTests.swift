import Glibc
import SpoolWatch
import Testing

@Suite("What appears in a watched directory is reported") struct ArrivalTests {
  @Test("a file renamed into it, once and by name")
  func renamed() throws {
    let folder = try WatchFolder("new")
    let watcher = try folder.watcher("new")
    folder.drop("a.json")
    folder.drop("b.json")
    let events = watcher.collect { $0.count >= 2 }
    #expect(events == [.arrived(directory: "new", name: "a.json"), .arrived(directory: "new", name: "b.json")])
  }

  @Test(
    "a file written in place, a directory, a link, a fifo, each by name",
    arguments: ["copied.json", "folder", "symbolic", "hard", "fifo"])
  func created(name: String) throws {
    let folder = try WatchFolder("new")
    let watcher = try folder.watcher("new")
    let path = folder.path("new/" + name)
    switch name {
    case "copied.json": folder.write("new/" + name)
    case "folder": mkdir(path, 0o755)
    case "symbolic": symlink("/nowhere", path)
    case "hard":
      folder.write("tmp/other")
      link(folder.path("tmp/other"), path)
    default: mkfifo(path, 0o644)
    }
    #expect(watcher.collect { !$0.isEmpty }.first == .arrived(directory: "new", name: name))
  }

  @Test("a copy is reported again when its writer closes it")
  func closedAfterWriting() throws {
    let folder = try WatchFolder("new")
    let watcher = try folder.watcher("new")
    folder.write("new/copied.json")
    let arrival = WatchEvent.arrived(directory: "new", name: "copied.json")
    #expect(watcher.collect { $0.count >= 2 } == [arrival, arrival])
  }

  @Test("what is added to a file is reported only to those who ask for it")
  func writes() throws {
    let folder = try WatchFolder("log")
    folder.write("log/audit")
    let watcher = Watcher([folder.path("log")], writes: true, program: program)
    try watcher.start()
    #expect(watcher.next(timeout: patience) == [.lookAgain])
    let deaf = try folder.watcher("log")
    let descriptor = open(folder.path("log/audit"), O_WRONLY | O_APPEND | O_CLOEXEC)
    #expect(descriptor >= 0)
    #expect(Glibc.write(descriptor, "line", 4) == 4)
    // Still open: nobody but a watcher for writes hears of it.
    #expect(watcher.collect { !$0.isEmpty }.first == .arrived(directory: "log", name: "audit"))
    folder.drop("next", into: "log")
    #expect(deaf.collect { !$0.isEmpty }.first == .arrived(directory: "log", name: "next"))
    close(descriptor)
  }

  @Test(
    "a name that would break the lines says only: look again",
    arguments: ["two\nlines.json", "tab\t.json", "bell\u{7}", "new x\novernight.json", "delete\u{7f}"])
  func controlCharacters(name: String) throws {
    let folder = try WatchFolder("new")
    let watcher = try folder.watcher("new")
    folder.drop(name)
    folder.drop("after.json")
    let events = watcher.collect { $0.count >= 2 }
    #expect(events == [.lookAgain, .arrived(directory: "new", name: "after.json")])
  }

  @Test("a name that is no UTF-8 says only: look again")
  func invalidUTF8() throws {
    let folder = try WatchFolder("new")
    let watcher = try folder.watcher("new")
    let bytes = Array(folder.path("new/").utf8) + [0xff, 0xfe, 0]
    bytes.withUnsafeBytes { _ = mkdir($0.bindMemory(to: CChar.self).baseAddress!, 0o755) }
    #expect(watcher.collect { !$0.isEmpty } == [.lookAgain])
  }

  @Test(
    "names with spaces, dashes and words of the protocol come through",
    arguments: [" ", "a b", "-x", "gone new", "ready"])
  func oddNames(name: String) throws {
    let folder = try WatchFolder("new")
    let watcher = try folder.watcher("new")
    folder.drop(name)
    #expect(watcher.collect { !$0.isEmpty } == [.arrived(directory: "new", name: name)])
  }

  @Test("the longest name a file can have comes through")
  func longestName() throws {
    let folder = try WatchFolder("new")
    let watcher = try folder.watcher("new")
    let name = String(repeating: "x", count: 255)
    folder.drop(name)
    #expect(watcher.collect { !$0.isEmpty } == [.arrived(directory: "new", name: name)])
  }

  @Test("each directory under its own name, removals only when asked for")
  func severalDirectories() throws {
    let folder = try WatchFolder("new", "ctl")
    let watcher = try folder.watcher("new", "ctl", removals: true)
    folder.drop("a.json")
    rename(folder.path("new/a.json"), folder.path("ctl/a.json"))
    unlink(folder.path("ctl/a.json"))
    let events = watcher.collect { $0.count >= 4 }
    #expect(
      Set(events.map(String.init(describing:)))
        == Set(
          [
            WatchEvent.arrived(directory: "new", name: "a.json"), .removed(directory: "new", name: "a.json"),
            .arrived(directory: "ctl", name: "a.json"), .removed(directory: "ctl", name: "a.json"),
          ].map(String.init(describing:))))

    let quiet = try folder.watcher("new")
    folder.drop("b.json")
    unlink(folder.path("new/b.json"))
    folder.drop("c.json")
    #expect(
      quiet.collect { $0.count >= 2 }
        == [.arrived(directory: "new", name: "b.json"), .arrived(directory: "new", name: "c.json")])
  }

  @Test("what left may come late, but never behind what appeared after it")
  func removalsKeepTheirPlace() throws {
    let folder = try WatchFolder("new", "hold")
    for number in 0..<300 { folder.drop("\(number).json") }
    let watcher = try folder.watcher("new", "hold", removals: true)
    for number in 0..<300 {
      unlink(folder.path("new/\(number).json"))
      if number % 100 == 99 { folder.drop("\(number).json", into: "hold") }
    }
    let events = watcher.collect { $0.count >= 303 }.map(String.init(describing:))
    let expected = (0..<300).flatMap { number in
      [WatchEvent.removed(directory: "new", name: "\(number).json")]
        + (number % 100 == 99 ? [WatchEvent.arrived(directory: "hold", name: "\(number).json")] : [])
    }
    #expect(events == expected.map(String.init(describing:)))

    unlink(folder.path("hold/99.json"))
    #expect(watcher.collect { !$0.isEmpty } == [.removed(directory: "hold", name: "99.json")])
  }

  @Test("a directory whose own name holds a space can be given another")
  func namedPlace() throws {
    let folder = try WatchFolder("my jobs")
    let watcher = Watcher([.init(folder.path("my jobs"), name: "jobs")], program: program)
    try watcher.start()
    #expect(watcher.next(timeout: patience) == [.lookAgain])
    folder.drop("a.json", into: "my jobs")
    #expect(watcher.collect { !$0.isEmpty } == [.arrived(directory: "jobs", name: "a.json")])
  }

  @Test("nothing came: an empty answer after the time given, at once for zero")
  func timeout() throws {
    let folder = try WatchFolder("new")
    let watcher = try folder.watcher("new")
    #expect(watcher.next(timeout: .zero) == [])
    #expect(watcher.next(timeout: .milliseconds(20)) == [])
    #expect(watcher.read() == [])
  }
}
