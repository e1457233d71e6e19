/// Names in few bytes.
import SpoolTestSupport
import Testing

@testable import JobModel

@Suite("The table of names")
struct NameTableTests {
  @Test("gives every name back as it was, whatever looks like a UUID")
  func names() {
    let names = [
      "019a9000-0000-7abc-9def-0123456789ab", "019A9000-0000-7abc-9def-0123456789ab",
      "019a9000-0000-7abc-9def-0123456789a", "019a900000000-7abc-9def-0123456789ab", "a", "0123456789abcdef",
      String(repeating: "x", count: 128), "00000000-0000-0000-0000-000000000000",
    ]
    var table = NameTable(seed: 3)
    let slots = names.map { table.insert($0) }
    #expect(table.count == names.count)
    for (slot, name) in zip(slots, names) {
      #expect(table.name(slot) == name)
      #expect(table.slot(of: name) == slot)
    }
    for slot in slots.dropLast() { table.remove(slot: slot) }
    #expect(names.dropLast().allSatisfy { table.slot(of: $0) == nil })
    #expect(table.slot(of: names[7]) == slots[7])
  }

  @Test("a hash depends on the seed, and on every byte")
  func hashes() {
    let texts = ["", "a", "b", "aa", "12345678", "123456789", "12345678\0", String(repeating: "z", count: 100)]
    #expect(Set(texts.map { KeyedHash.of($0, seed: 1) }).count == texts.count)
    #expect(zip(texts, texts).allSatisfy { KeyedHash.of($0, seed: 1) != KeyedHash.of($1, seed: 2) })
  }

  @Test("agrees with a dictionary whatever happens", arguments: 1...6 as ClosedRange<UInt64>)
  func model(_ seed: UInt64) throws {
    var random = SeededRandom(seed)
    var table = NameTable()
    var model: [String: Int] = [:]
    for step in 0..<60_000 {
      let name =
        String(repeating: "x", count: Int.random(in: 1...9, using: &random))
        + "\(UInt16.random(in: 0..<400, using: &random))"
      if let slot = model[name] {
        #expect(table.slot(of: name) == slot, "seed \(seed), step \(step)")
        if Bool.random(using: &random) {
          table.remove(slot: slot)
          table.recycle(slot)
          model[name] = nil
          #expect(table.slot(of: name) == nil, "seed \(seed), step \(step)")
        }
      } else {
        #expect(table.slot(of: name) == nil, "seed \(seed), step \(step)")
        let slot = table.insert(name)
        #expect(!model.values.contains(slot), "seed \(seed), step \(step)")
        model[name] = slot
      }
      #expect(table.count == model.count)
    }
    for (name, slot) in model { #expect(table.slot(of: name) == slot && table.name(slot) == name) }
  }

  @Test("does not use a slot again before it was recycled")
  func reserved() {
    var table = NameTable()
    let first = table.insert("a")
    table.remove(slot: first)
    #expect(table.slot(of: "a") == nil)
    let second = table.insert("a")
    #expect(second != first && table.slot(of: "a") == second)
    table.recycle(first)
    #expect(table.insert("b") == first)
    #expect(table.name(second) == "a" && table.name(first) == "b")
  }
}
