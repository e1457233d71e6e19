import Glibc
import Testing

@testable import SpoolWatch

@Suite("jobspool-watch run by hand") struct ProgramTests {
  @Test("--help and --version print and succeed")
  func help() throws {
    let help = try Child([program, "--help"])
    #expect(help.read().hasPrefix("usage: jobspool-watch"))
    #expect(help.exit() == 0)
    let version = try Child([program, "--version"])
    #expect(version.read().hasPrefix("jobspool-watch "))
    #expect(version.exit() == 0)
  }

  @Test(
    "mistakes are named, with the exit code of their kind",
    arguments: [
      ([], 64, "no directory given"), (["--what"], 64, "unknown option --what"), (["--name", "x"], 64, "--name takes"),
      (["/nonexistent"], 66, "cannot watch /nonexistent: No such file"), (["/etc/passwd"], 66, "Not a directory"),
      (["/tmp", "--name", "other", "/tmp/"], 64, "already watched as tmp"),
      (["/tmp", "--name", "tmp", "/usr"], 64, "two directories are called tmp"),
      (["--name", "a b", "/tmp"], 64, "cannot print events under the name"),
    ] as [([String], Int32, String)])
  func mistakes(arguments: [String], code: Int32, words: String) throws {
    let child = try Child([program] + arguments)
    let said = child.read()
    #expect(said.hasPrefix("jobspool-watch: ") && said.contains(words) && said.hasSuffix("\n"))
    #expect(child.exit() == code)
  }

  @Test("relative directories and a trailing slash print the last part of the path")
  func relative() throws {
    let folder = try WatchFolder("new")
    let child = try Child(["/bin/sh", "-c", "cd '\(folder.root)' && exec '\(program)' new/"])
    #expect(child.read(until: { $0.contains("ready\n") }) == "ready\n")
    folder.drop("a.json")
    #expect(child.read(until: { $0.contains("\n") }) == "new a.json\n")
  }
}

@Suite("The lines of jobspool-watch") struct LineTests {
  private func events(_ chunks: String...) -> [WatchEvent] {
    var lines = WatchLines(names: ["new", "ctl"])
    return chunks.flatMap { chunk in Array(chunk.utf8).withUnsafeBytes { lines.take($0) } }
  }

  @Test("a line may come in pieces")
  func pieces() {
    #expect(
      events("ne", "w a.js", "on\nctl b", "\n") == [
        .arrived(directory: "new", name: "a.json"), .arrived(directory: "ctl", name: "b"),
      ])
  }

  @Test("an unfinished line is no event")
  func unfinished() { #expect(events("new a.json") == []) }

  @Test("words in a row to look again are one")
  func repeated() {
    #expect(
      events("ready\noverflow\nnew ?\nnew a\noverflow\n") == [
        .lookAgain, .arrived(directory: "new", name: "a"), .lookAgain,
      ])
  }

  @Test("what is no event is kept as the reason")
  func remark() {
    var lines = WatchLines(names: ["new"])
    let events = Array("jobspool-watch: no watches left\n".utf8).withUnsafeBytes { lines.take($0) }
    #expect(events == [] && lines.remark == "no watches left")
  }

  @Test("a flood without a line's end is not kept")
  func flood() {
    var lines = WatchLines(names: ["new"])
    let flood = [UInt8](repeating: 120, count: 100_000)
    #expect(flood.withUnsafeBytes { lines.take($0) } == [])
    #expect(Array("\nnew a\n".utf8).withUnsafeBytes { lines.take($0) }.last == .arrived(directory: "new", name: "a"))
  }
}
