import Testing

@testable import JobSchema

@Suite("Regular expressions") struct PatternTests {
  @Test("what they match", arguments: rows)
  func matching(row: PatternRow) throws {
    let pattern = try Pattern(row.pattern)
    for text in row.yes { #expect(matches(pattern, text) == true, "\(text.debugDescription)") }
    for text in row.no { #expect(matches(pattern, text) == false, "\(text.debugDescription)") }
  }

  @Test("what is refused, and how that is said", arguments: refused)
  func refusing(pattern: String, words: String) throws {
    let problem = #expect(throws: Pattern.Problem.self) { try Pattern(pattern) }
    #expect(try #require(problem).message.contains(words))
  }

  @Test("expressions that explode elsewhere take time in proportion here")
  func linear() throws {
    let text = String(repeating: "a", count: 10_000) + "!"
    for hostile in [
      "^(a+)+$", "^(a|aa)*$", "^(a*)*$", "^([a-z]+)*$", "(x+x+)+y", "^(a|a)*b", "^(.*)*$x", "(.*)(.*)(.*)q",
    ] {
      let pattern = try Pattern(hostile)
      var effort = 300_000
      #expect(pattern.matches(text, effort: &effort) == false, "\(hostile): \(300_000 - effort) steps")
      #expect(effort > 0)
    }
    var little = 1000
    #expect(try Pattern("^(a+)+$").matches(text, effort: &little) == nil)
  }

  private func matches(_ pattern: Pattern, _ text: String) -> Bool? {
    var effort = 1_000_000
    return pattern.matches(text, effort: &effort)
  }

  struct PatternRow: Sendable, CustomTestStringConvertible {
    var pattern: String
    var yes: [String]
    var no: [String]
    init(_ pattern: String, _ yes: [String], not no: [String]) {
      self.pattern = pattern
      self.yes = yes
      self.no = no
    }
    var testDescription: String { pattern }
  }

  static let rows = [
    PatternRow("", ["", "x"], not: []),
    PatternRow("abc", ["abc", "xabcx"], not: ["ab", "acb"]),
    PatternRow("^abc$", ["abc"], not: ["abc\n", "xabc", "abcx", ""]),
    PatternRow("^$", [""], not: ["a", "\n"]),
    PatternRow("a|b|", ["", "c"], not: []),
    PatternRow("^(a|bc|)$", ["a", "bc", ""], not: ["b", "abc"]),
    PatternRow("^a|b$", ["ax", "xb"], not: ["xa", "bx"]),
    PatternRow("^a*$", ["", "aaa"], not: ["b", "ab"]),
    PatternRow("^a+?$", ["a", "aaa"], not: [""]),
    PatternRow("^ab?c$", ["ac", "abc"], not: ["abbc"]),
    PatternRow("^a{3}$", ["aaa"], not: ["aa", "aaaa"]),
    PatternRow("^a{2,}$", ["aa", "aaaaa"], not: ["a"]),
    PatternRow("^a{1,3}?$", ["a", "aaa"], not: ["", "aaaa"]),
    PatternRow("^a{0}$", [""], not: ["a"]),
    PatternRow("^(ab){2}$", ["abab"], not: ["ab", "aabb"]),
    PatternRow("^(?:a(b)(?<n>c))+$", ["abcabc"], not: ["abcab"]),
    PatternRow("^(a*)*$", ["", "aa"], not: ["b"]),
    PatternRow("^(|a){2,3}b$", ["b", "aaab"], not: ["aaaab"]),
    PatternRow("^.$", ["a", "\t", "😀", "\u{85}"], not: ["\n", "\r", "\u{2028}", "\u{2029}", "", "ab", "e\u{301}"]),
    PatternRow("^[abc]$", ["a", "c"], not: ["d", "-"]),
    PatternRow("^[a-cx-]$", ["b", "x", "-"], not: ["d", "y"]),
    PatternRow("^[^a-c]$", ["d", "\n", "😀"], not: ["a", ""]),
    PatternRow("^[^]$", ["\n"], not: [""]),
    PatternRow("[]", [], not: ["", "a"]),
    PatternRow("^[\\]\\\\\\-]$", ["]", "\\", "-"], not: ["a"]),
    PatternRow("^[\\w.]+$", ["a_9.Z"], not: ["é", " ", "-"]),
    PatternRow("^[\\D]$", ["a", "٣"], not: ["3"]),
    PatternRow("^[^\\D]$", ["3"], not: ["a"]),
    PatternRow("^[\\D3]$", ["a", "3"], not: ["4"]),
    PatternRow("^[^\\W_]$", ["a"], not: ["_", "-"]),
    PatternRow("^\\d\\D\\w\\W\\s\\S$", ["1aa- a", "0 _\n\u{FEFF}x"], not: ["aaa- a", "٣aa- a"]),
    PatternRow("^\\s$", ["\u{A0}", "\u{3000}", "\u{2028}", "\u{B}"], not: ["\u{200B}", "\u{180E}", "\u{85}"]),
    PatternRow("^\\t\\n\\v\\f\\r\\0\\cA\\x41\\u0042\\u{1F600}$", ["\t\n\u{B}\u{C}\r\0\u{1}AB😀"], not: ["tnvfr"]),
    PatternRow("^\\uD83D\\uDE00$", ["😀"], not: ["\u{D83}"]),
    PatternRow("^[\\u{1F600}-\\u{1F64F}]$", ["😀"], not: ["a"]),
    PatternRow("^\\^\\$\\.\\*\\+\\?\\(\\)\\[\\]\\{\\}\\|\\/\\-\\@$", ["^$.*+?()[]{}|/-@"], not: [""]),
    PatternRow("^[(.*+?|)$^{}\"]$", ["(", ".", "$", "^", "{", "\""], not: ["a", "\\"]),
    PatternRow("^[\\b]$", ["\u{8}"], not: ["b"]),
    PatternRow("\\bcat\\b", ["cat", "a cat.", "cat!"], not: ["cats", "concat", "_cat"]),
    PatternRow("^\\Bx|a\\B", ["ab"], not: ["x", "a"]),
    PatternRow("^\\p{L}+$", ["aÄж中"], not: ["1", "_"]),
    PatternRow("^\\p{Lu}\\p{gc=Ll}\\P{L}$", ["Éé1"], not: ["éé1", "Ééé"]),
    PatternRow("^[\\p{Nd}\\P{L}]$", ["٣", "-"], not: ["a"]),
    PatternRow("^é$", ["é"], not: ["e\u{301}"]),
    PatternRow("^(([a-z0-9]+-)*[a-z0-9]+\\.)+[a-z]{2,63}$", ["a-b.example.org"], not: ["-a.org", "a.b-"]),
    PatternRow("^a{1000}$", [String(repeating: "a", count: 1000)], not: [String(repeating: "a", count: 999)]),
    PatternRow("a{1000}", [String(repeating: "a", count: 1100)], not: [String(repeating: "a", count: 999)]),
  ]

  static let refused: [(String, String)] = [
    ("(?=a)", "looking ahead"), ("(?!a)", "looking ahead"), ("(?<=a)", "looking behind"), ("(?<!a)", "looking behind"),
    ("(a)\\1", "back references"), ("(?<n>a)\\k<n>", "back references"), ("(?i)a", "flags"), ("(?i:a)", "flags"),
    ("(a", "without its \")\""), ("a)", "without its \"(\""), ("[a", "without its \"]\""), ("*a", "nothing to repeat"),
    ("a**", "two quantifiers"), ("a+{2}", "two quantifiers"), ("^*", "cannot be repeated"),
    ("\\b+", "cannot be repeated"),
    ("a{2", "expected \"}\""), ("a{,2}", "expected a count"), ("a{x}", "expected a count"), ("a{3,2}", "out of order"),
    ("a{1001}", "up to 1000"), ("{", "written \"\\{\""), ("a}", "written \"\\}\""), ("]", "written \"\\]\""),
    ("[b-a]", "out of order"), ("[a-\\d]", "cannot end"), ("[\\w-a]", "cannot begin"), ("\\", "at the end"),
    ("\\q", "no escape"), ("\\A", "no escape"), ("\\x4", "2 hexadecimal"), ("\\u12", "4 hexadecimal"),
    ("\\ud800", "surrogate"), ("\\ud800\\u0041", "surrogate"), ("\\u{110000}", "above"), ("\\u{}", "hexadecimal"),
    ("\\c1", "needs a letter"), ("\\01", "octal"), ("\\p{Greek}", "not known"), ("\\pL", "expected \"{\""),
    ("(a{100}){101}", "too large"), ("((){1000}){1000}", "too large"), ("(((a{1000}){1000}){1000}){1000}", "too large"),
    (String(repeating: "(", count: 65) + String(repeating: ")", count: 65), "64 deep"),
    (String(repeating: "(", count: 100_000), "64 deep"), ("(?<>a)", "expected a name"), ("é\\q", "character 3"),
  ]
}
