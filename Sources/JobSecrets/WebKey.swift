/// `secret/web.key`: the secret that signs and checks the tokens of the HTTP API (HS256). One line of 64 hexadecimal digits,
/// for 32 random bytes. `jobspool init` and `jobspool token create` make it when it is missing; the web program only reads
/// it, by the file's group.
internal import FoundationEssentials
internal import Glibc

package enum WebKey {
  static let size = 32

  package static func file(in folder: String) -> String { "\(folder)/secret/web.key" }

  /// The bytes of the key.
  package static func load(_ path: String) throws(SecretProblem) -> [UInt8] {
    let remedy = "let nobody else read it: chmod 0640 \(path)"
    let text = try KeyFile.read(path, forbidden: 0o037, ownedByUs: false, remedy)
    let digits = text.split(whereSeparator: \.isWhitespace)
    guard digits.count == 1, let key = bytes(digits[0]) else {
      throw SecretProblem(.badKey, "\(path) is no web key: expected one line of \(size * 2) hexadecimal digits")
    }
    return key
  }

  /// Makes the key if there is none; what another one makes meanwhile counts. Says whether it is new.
  package static func prepare(_ path: String) throws(SecretProblem) -> (key: [UInt8], isNew: Bool) {
    do throws(SecretProblem) { return (try load(path), false) } catch {
      guard error.code == .noKey else { throw error }
    }
    let folder = KeyFile.folder(of: path)
    if mkdir(folder, 0o750) != 0, errno != EEXIST { throw KeyFile.failure("making the folder of the key", folder) }
    var random = SystemRandomNumberGenerator()
    let key = (0..<size).map { _ in UInt8.random(in: 0...255, using: &random) }
    do throws(SecretProblem) {
      try KeyFile.write(Array(hex(key).utf8) + [0x0A], to: path, mode: 0o640, replacing: false)
    } catch {
      guard access(path, F_OK) == 0 else { throw error }
      return (try load(path), false)
    }
    return (key, true)
  }

  private static func hex(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }

  private static func bytes(_ text: Substring) -> [UInt8]? {
    let digits = text.utf8.map { digit -> UInt8? in
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
      default: nil
      }
    }
    guard digits.count == size * 2, !digits.contains(nil) else { return nil }
    let known = digits.compactMap { $0 }
    return stride(from: 0, to: known.count, by: 2).map { known[$0] << 4 | known[$0 + 1] }
  }
}
