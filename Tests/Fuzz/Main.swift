/// spoolfuzz: feeds a reader of untrusted bytes with mutated ones. `fuzz.py` beside it runs all targets, each in a process
/// of its own, and keeps the input at which one ended.
///
///     spoolfuzz --list
///     spoolfuzz TARGET [--seed N] [--seconds S] [--keep FILE] [--tell FILE] [--corpus FOLDER]
///     spoolfuzz TARGET --replay FILE…
///     spoolfuzz TARGET --coverage ARGUMENT…
///     spoolfuzz --answer json|schema|cron
///
/// `--keep`: the input is in this file whenever a trap ends the process. `--tell`: one line per input for another program
/// to judge, `ok` or `no` and the bytes in hexadecimal. `--coverage`: libFuzzer takes over, with its arguments. `--answer`:
/// what foreign test suites ask, a line for each question.
import Glibc

@main
enum Main {
  /// No input takes longer than this, in a debug build on a machine with other work.
  static let patience = 5.0
  static let largest = 1 << 16

  static func main() {
    var words = Array(CommandLine.arguments.dropFirst())
    if words.first == "--list" {
      for target in FuzzTarget.all { print(target.name) }
      return
    }
    if words.first == "--answer", words.count == 2 { return Answers.give(words[1]) }
    guard !words.isEmpty, let target = FuzzTarget.all.first(where: { $0.name == words[0] }) else {
      fail(
        "usage: spoolfuzz --list | TARGET [--seed N] [--seconds S] [--keep F] [--tell F] [--corpus D] [--replay F...] "
          + "[--coverage ARGUMENT...]")
    }
    words.removeFirst()
    var run = FuzzRun(target)
    while !words.isEmpty {
      let option = words.removeFirst()
      if option == "--replay" {
        for path in words { run.replay(path) }
        return
      }
      if option == "--coverage" { CoverageRun.go(target, words) }
      guard let value = words.first else { fail("\(option) needs a value") }
      words.removeFirst()
      switch option {
      case "--seed": run.seed = UInt64(value) ?? 0
      case "--seconds": run.seconds = Double(value) ?? 1
      case "--keep": run.keep = InputKeeper(value)
      case "--tell": run.tell = fopen(value, "w")
      case "--corpus": run.readCorpus(value)
      default: fail("unknown option \(option)")
      }
    }
    run.go()
  }

  static func fail(_ message: String) -> Never {
    print("spoolfuzz: \(message)")
    exit(64)
  }

  static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
