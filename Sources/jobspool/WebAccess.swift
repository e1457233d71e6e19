/// What `token create` and `dashboard` share: the key, and who may have a token made in whose name. Whoever may read the
/// key may make any token, so nothing is asked beyond that: root, the spool's owner and the web program may.
internal import CSpoolShims
internal import Glibc
internal import JobModel
internal import JobSecrets
internal import SpoolConfig
internal import SpoolStore

struct WebAccess {
  let spool: Spool
  let configuration: Configuration

  init(_ options: SpoolOptions) throws {
    spool = try options.open()
    configuration = options.configuration(of: spool)
  }

  /// The key that signs, made when it is missing.
  func key() throws -> WebKey {
    let owner: FileStatus
    do throws(Errno) { owner = try spool.syscalls.status(spool.descriptor(JobState.cur)) } catch {
      throw SpoolError(doing: "looking at the folder", path: "\(spool.path)/cur", error)
    }
    do throws(SecretProblem) {
      let made = try WebKey.prepare(in: configuration.folder, owner: owner.uid, group: WebAccess.group)
      if made.isNew { Console.remark("made the key \(WebKey.file(in: configuration.folder))") }
      return made.key
    } catch {
      switch error.code {
      case .denied:
        throw Failure(
          "\(error.message); run it as root or as \(Operations.userName(owner.uid)), who owns the spool", exit: 77)
      case .badKey: throw Failure(error.message, exit: 78)
      default: throw Failure(error.message, exit: 71)
      }
    }
  }

  /// The group of the web program, where it is a user of its own.
  static var group: UInt32? { getpwnam("jobspool-web").map { $0.pointee.pw_gid } }

  /// - Throws: 64 for a role that the web program does not know.
  func checked(role: String) throws -> String {
    let foreign = configuration.settings.web.roles
    guard WebSettings.ownRoles.contains(role) || foreign[role] != nil else {
      let known = (WebSettings.ownRoles + foreign.keys.sorted()).joined(separator: ", ")
      throw Failure(
        "there is no role '\(Console.plain(role))': expected one of \(known); see 'jobspool token create --help'",
        exit: 64)
    }
    return role
  }

  /// The subject, by default the name of who asks.
  func checked(subject: String?) throws -> String {
    guard let subject else { return Operations.userName(getuid()) }
    let isPrintable = subject.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F..<0xA0).contains($0.value) }
    guard (1...128).contains(subject.utf8.count), isPrintable else {
      throw Failure("--subject: expected 1 to 128 characters that can be printed; see --help", exit: 64)
    }
    return subject
  }

  /// 128 random bits.
  static func tokenID() -> String {
    [spool_random(), spool_random()].map { half in
      let digits = String(half, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
}
