/// The key that signs the tokens of the HTTP API (HS256): `secret/web.key`, 32 random bytes as 64 hexadecimal digits and a
/// newline. Who may read it may be anybody at the API, so it belongs to the spool's owner, and only the web program's
/// group reads it beside him. It is made once and never replaced: removing it ends every token that it signed.
internal import Crypto
internal import FoundationEssentials
internal import Glibc

package struct WebKey: Sendable {
  let key: SymmetricKey

  /// The bytes that sign, for a library that checks tokens.
  package var bytes: [UInt8] { key.withUnsafeBytes { Array($0) } }

  static let size = 32

  /// - Parameter folder: the one with the configuration: the spool's own, or `/etc/jobspool`.
  package static func file(in folder: String) -> String {
    Credentials.file("web.key") ?? folder + "/secret/web.key"
  }

  /// Reads the key.
  ///
  /// - Throws: `noKey`, `denied`, or `badKey` with what to do.
  package static func load(_ path: String) throws(SecretProblem) -> WebKey {
    let text = try KeyFile.read(path, forbidden: 0o027, ownedByUs: false, "run: chmod 640 \(path)")
    let digits = Array(text.utf8).filter { $0 != UInt8(ascii: "\n") }
    var bytes: [UInt8] = []
    for place in stride(from: 0, to: digits.count, by: 2) where digits.count == 2 * size {
      guard let high = hexadecimal(digits[place]), let low = hexadecimal(digits[place + 1]) else { break }
      bytes.append(high << 4 | low)
    }
    guard bytes.count == size else {
      throw SecretProblem(
        .badKey,
        "\(path) is no key file: expected \(2 * size) hexadecimal digits and a newline; remove it and the next "
          + "'jobspool token create' makes a new one, which ends all tokens")
    }
    return WebKey(key: SymmetricKey(data: bytes))
  }

  /// Reads the key, and makes one where there is none.
  ///
  /// - Parameters:
  ///   - owner: the spool's; root gives him a new key.
  ///   - group: the web program's, when it is a user of its own; nobody but the owner may read a new key otherwise.
  /// - Returns: the key, and whether it was made now.
  package static func prepare(
    in folder: String, owner: UInt32, group: UInt32?
  ) throws(SecretProblem) -> (key: WebKey, isNew: Bool) {
    let path = file(in: folder)
    do throws(SecretProblem) { return (try load(path), false) } catch { if error.code != .noKey { throw error } }
    let secrets = KeyFile.folder(of: path)
    let isRoot = geteuid() == 0
    if mkdir(secrets, 0o700) == 0 {
      if isRoot, chown(secrets, owner, gid_t.max) != 0 { throw KeyFile.failure("giving away the folder", secrets) }
    } else if errno != EEXIST {
      throw KeyFile.failure("making the folder", secrets)
    }
    let made = SymmetricKey(size: .bits256)
    let text = made.withUnsafeBytes { bytes in
      bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() + "\n"
    }
    let isShared = isRoot && group != nil
    do throws(SecretProblem) {
      try KeyFile.write(
        Array(text.utf8), to: path, mode: isShared ? 0o640 : 0o600,
        owner: isRoot ? (owner, group ?? gid_t.max) : nil, replacing: false)
    } catch {
      // Somebody else made one at the same moment.
      guard let theirs = try? load(path) else { throw error }
      return (theirs, false)
    }
    return (WebKey(key: made), true)
  }

  private static func hexadecimal(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
