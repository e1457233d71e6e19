/// The tree and its places, and texts written to hurt.
import SpoolConfig
import Testing

@Suite struct TOMLNodeTests {
  private func parse(_ text: String) throws -> TOMLNode { try TOMLNode.parse(Array(text.utf8)) }

  private func fault(_ bytes: [UInt8]) -> TOMLFault? {
    do throws(TOMLFault) {
      _ = try TOMLNode.parse(bytes)
      return nil
    } catch {
      return error
    }
  }

  @Test("entries come in the order of the document, each with the place of key and value")
  func places() throws {
    let root = try parse("z = 1\n[b.c]\n  y = [\n 'é',\n2.5, true, 2020-01-01]\n[a]\n")
    guard case .table(let entries) = root.value, entries.count == 3, case .table(let b) = entries[1].node.value,
      case .table(let c) = b[0].node.value, case .array(let items) = c[0].node.value
    else {
      Issue.record("\(root)")
      return
    }
    #expect(entries.map(\.key) == ["z", "b", "a"])
    #expect(entries.map(\.line) == [1, 2, 6])
    #expect(entries[0].node.value == .integer(1))
    #expect((entries[0].node.line, entries[0].node.column) == (1, 5))
    #expect((c[0].key, c[0].line, c[0].column) == ("y", 3, 3))
    #expect(items.map(\.value) == [.text("é"), .number(2.5), .flag(true), .date])
    #expect(items.map(\.line) == [4, 5, 5, 5])
  }

  @Test("texts keep NUL, escapes and what is beyond ASCII")
  func texts() throws {
    guard case .table(let entries) = try parse(#""k\u0000é" = "a\u0000\n\U0001F600""#).value else { return }
    #expect(entries.map(\.key) == ["k\0é"])
    #expect(entries.map(\.node.value) == [.text("a\0\n😀")])
  }

  @Test("letters beyond ASCII are refused in bare keys and taken in quoted ones, values and comments")
  func letters() throws {
    for letter in ["é", "ж", "\u{3000}", "\u{200B}", "😀"] {
      #expect(fault(Array("a\(letter) = 1".utf8))?.line == 1)
      guard case .table(let entries) = try parse("\"\(letter)\" = \"\(letter)\" # \(letter)").value else { continue }
      #expect(entries.map(\.key) == [letter])
      #expect(entries.map(\.node.value) == [.text(letter)])
    }
  }

  @Test("an empty text is an empty table")
  func empty() throws {
    #expect(try parse("").value == .table([]))
    #expect(try parse("# only a comment").value == .table([]))
  }

  @Test("a fault names its line and, in plain words, its reason")
  func faults() {
    let fault = self.fault(Array("a = 1\nb = \n".utf8))
    #expect(fault?.line == 2)
    #expect(fault?.column == 5)
    #expect(fault?.message == "expected value, saw '\\n'")
    #expect(self.fault(Array("a = 1\n\na = 2\n".utf8))?.line == 3)
    #expect(self.fault(Array("a = \"\n".utf8))?.line == 1)
    #expect(self.fault([0x61, 0x3D, 0xFF])?.line == 1)
    #expect(self.fault(Array(repeating: 0, count: 1000))?.line == 1)
  }

  @Test("depth without bound is refused, whether by brackets, dots, headers or quoted parts")
  func depth() throws {
    func many(_ text: String, _ count: Int, _ separator: String = "") -> [UInt8] {
      Array(Array(repeating: text, count: count).joined(separator: separator).utf8)
    }
    #expect(fault(Array("a=".utf8) + many("[", 500_000)) != nil)
    #expect(fault(Array("a=".utf8) + many("{a=", 300_000)) != nil)
    #expect(fault(many("a", 500_000, ".") + Array("=1".utf8))?.message == "a key of more than 16 dots")
    #expect(fault(Array("\n\n[".utf8) + many("a", 20, " . ") + Array("]".utf8))?.line == 3)
    #expect(fault(many(#""=""#, 100, ".") + Array("=1".utf8)) != nil)
    #expect(fault(many("'#'", 100, ".") + Array("=1".utf8)) != nil)
  }

  @Test("dots in values and comments are no depth")
  func dots() throws {
    let dots = Array(repeating: "a.b", count: 50).joined(separator: ".")
    _ = try parse(
      "# \(dots)\na = \"\(dots)\"\nb = '\(dots)'\nc = '''\n\(dots)\n'''\nd = \"\"\"\\\"\"\" \(dots)\"\"\"\n")
    let floats = Array(repeating: "1.5", count: 100).joined(separator: ", ")
    _ = try parse("a = [\(floats)]")
  }

  @Test("the deepest that is allowed can be read and freed on a small stack")
  func deepest() throws {
    let key = Array(repeating: "a", count: 17).joined(separator: ".")
    var value = "1"
    for _ in 0..<31 { value = "{ \(key) = \(value) }" }
    _ = try parse("[\(key)]\n\(key) = \(value)")
  }

  @Test("cut and mangled documents never do more than fail", arguments: 0..<20)
  func mangled(seed: UInt64) {
    let whole = Array(
      "a.b = [1, 2.5, {c = \"x\\u00e9\"}]\n[d.'e']\nf = '''\n'''\n[[g]]\nh = 1979-05-27T07:32:00Z\n".utf8)
    for end in whole.indices { _ = fault(Array(whole[..<end])) }
    var state = seed &+ 0x9E37_79B9_7F4A_7C15
    for _ in 0..<200 {
      var bytes = whole
      for _ in 0..<3 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes[Int(state >> 33) % bytes.count] = UInt8(truncatingIfNeeded: state >> 25)
      }
      if let fault = fault(bytes) { #expect(fault.line >= 1) }
    }
  }
}
