/// One target under one stream of inputs, for as long as was asked.
import Glibc

struct FuzzRun {
  let target: FuzzTarget
  var seed: UInt64 = 1
  var seconds = 1.0
  var keep: InputKeeper?
  var tell: UnsafeMutablePointer<FILE>?
  private var pool: [[UInt8]] = []
  private var kinds: Set<String> = []
  private var slowest = 0.0

  init(_ target: FuzzTarget) { self.target = target }

  mutating func readCorpus(_ folder: String) {
    guard let listing = opendir(folder) else { return }
    defer { closedir(listing) }
    var names: [String] = []
    while let entry = readdir(listing) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    for name in names.sorted() { pool.append(FuzzRun.contents("\(folder)/\(name)")) }
  }

  mutating func replay(_ path: String) {
    attempt(FuzzRun.contents(path), from: path)
    print("\(target.name): \(path) does no harm")
  }

  mutating func go() {
    if pool.isEmpty { pool = [[]] }
    var mutator = Mutator(seed: seed, words: target.words)
    let end = Main.now + seconds
    for input in pool { attempt(input, from: "the corpus") }
    let seeds = pool
    var runs = pool.count
    while Main.now < end {
      // What the corpus has stays in play beside what grew from it.
      let old = mutator.below(3) == 0 ? seeds[mutator.below(seeds.count)] : pool[mutator.below(pool.count)]
      let input = mutator.change(old, from: pool, limit: Main.largest)
      if attempt(input, from: "run \(runs) of seed \(seed)"), pool.count < 4096 { pool.append(input) }
      runs += 1
    }
    if let tell { fclose(tell) }
    print(
      "\(target.name): \(runs) inputs in \(Int(seconds)) s, \(kinds.count) kinds, the slowest "
        + "\(Int(slowest * 1000)) ms, seed \(seed)")
  }

  /// true: it is like none before.
  @discardableResult
  private mutating func attempt(_ input: [UInt8], from place: String) -> Bool {
    keep?.put(input)
    let began = Main.now
    let kind: String
    do { kind = try target.run(input) } catch {
      print("\(target.name): \(error) (\(place))")
      exit(1)
    }
    let took = Main.now - began
    slowest = max(slowest, took)
    if took > Main.patience {
      print("\(target.name): \(input.count) bytes took \(took) s (\(place))")
      exit(1)
    }
    if let tell {
      let digits = Array("0123456789abcdef".utf8)
      fputs(kind.hasPrefix("no") ? "no " : "ok ", tell)
      fputs(
        String(decoding: input.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self) + "\n", tell)
    }
    return kinds.insert(String(decoding: kind.utf8.filter { !(48...57).contains($0) }.prefix(200), as: UTF8.self))
      .inserted
  }

  private static func contents(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "r") else { Main.fail("cannot read \(path)") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
    return Array(bytes.prefix(Main.largest))
  }
}
