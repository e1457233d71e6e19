internal import CSpoolShims
internal import Glibc
internal import JobEngine
internal import JobModel

/// Everything about starting a handler that is the same for each of its jobs: where the program is, its words, and the
/// part of its environment that does not change, as C wants them. Made once per type and kept until the settings
/// change; `stillThere` is asked before every start.
final class Launch {
  let settings: HandlerSettings
  /// Path of what is executed first: a limiting prefix, or the program itself.
  private let executable: String
  private let program: String
  private let words: CStringList
  private let fixed: CStringList
  private let becomesOther: Bool

  /// Throws `.broken` with a message that names the handler file.
  init(_ settings: HandlerSettings, inherited: [[CChar]], searchPath: String) throws(StartProblem) {
    let folder = settings.file.lastIndex(of: "/").map { String(settings.file[..<$0]) } ?? "."
    var account: Account?
    if let name = settings.user {
      guard let found = Account(named: name) else {
        throw StartProblem(
          .broken,
          "\(settings.file): user: there is no user \"\(name)\"; create it or change the line")
      }
      account = found.user == geteuid() ? nil : found
      if account != nil, !Account.mayChange() {
        throw StartProblem(
          .broken,
          "\(settings.file): user: the daemon may not become \"\(name)\"; "
            + "give it CAP_SETUID, CAP_SETGID and CAP_KILL or remove the line")
      }
    }
    do {
      program = try ProgramLookup.find(settings.command.first ?? "", folder: folder, searchPath: searchPath)
      let words = try HandlerCommand.words(
        program: program, command: settings.command, limits: settings.limits, account: account
      ) { tool throws(ProgramLookup.Problem) in
        try ProgramLookup.find(tool, folder: "/", searchPath: "/usr/bin:/bin:\(searchPath)")
      }
      executable = words[0] == settings.command.first ? program : words[0]
      self.words = CStringList(words)
    } catch {
      throw StartProblem(
        .broken, "\(settings.file): command: \(error.message); install the program or correct the line")
    }
    fixed = CStringList(Environment.fixed(inherited: inherited, settings: settings, account: account))
    self.settings = settings
    becomesOther = account != nil
  }

  /// Whether the program can still be executed; otherwise a new `Launch` says what is wrong, or finds it elsewhere.
  var stillThere: Bool { access(program, X_OK) == 0 && (executable == program || access(executable, X_OK) == 0) }

  /// The last start of it succeeded.
  private(set) var works = false

  /// Whether the next start may be left to another thread: not one that needs the loop's own rights, nor one that may well
  /// fail, which is better known at once.
  var mayStartApart: Bool { works && !becomesOther }

  /// One start, ready to be carried out on whatever thread.
  struct Start: @unchecked Sendable {
    fileprivate let executable: String
    fileprivate let words: CStringList
    /// `environment` points into these.
    fileprivate let strings: [CStringList]
    fileprivate let environment: [UnsafeMutablePointer<CChar>?]
    fileprivate let directory: String
    fileprivate let files: [Int32]
    fileprivate let becomesOther: Bool

    /// Starts the process.
    ///
    /// - Parameter listedApart: this is not the thread to which the kernel gives what handlers leave behind.
    func carryOut(listedApart: Bool = false) -> Outcome {
      MemoryKills.shared.handlerStarts()
      var pid: pid_t = 0
      let error = withExtendedLifetime(strings) {
        OwnChildren.shared.start(listedApart: listedApart) {
          // setpriv inherits what it needs, and gives it away; no other handler ever has it.
          defer { if becomesOther { _ = spool_clear_ambient() } }
          if becomesOther, geteuid() != 0, spool_lend_identity() != 0 { return .failure(errno) }
          let error = spool_spawn(executable, words.pointers, environment, directory, files, &pid)
          return error == 0 ? .success(pid) : .failure(error)
        }
      }
      return error.map { .failure($0) } ?? .success(pid)
    }
  }

  typealias Outcome = OwnChildren.SpawnResult

  /// The program with `files` as descriptors 0 to 3 and `variables` added to its environment.
  func start(variables: [String], directory: String, files: [Int32]) -> Start {
    let own = CStringList(variables)
    return Start(
      executable: executable, words: words, strings: [fixed, own],
      environment: fixed.pointers.dropLast() + own.pointers, directory: directory, files: files,
      becomesOther: becomesOther)
  }

  /// What became of a start of this. Throws what to say when there was none.
  func result(of start: Start, _ outcome: Outcome) throws(StartProblem) -> pid_t {
    switch outcome {
    case .success(let pid):
      works = true
      return pid
    case .failure(let error):
      works = false
      throw problem(error, directory: start.directory)
    }
  }

  private func problem(_ error: Int32, directory: String) -> StartProblem {
    let reason = String(cString: strerror(error))
    switch error {
    // ETXTBSY: someone is writing the program at this moment.
    case EAGAIN, ENOMEM, EMFILE, ENFILE, ETXTBSY:
      return StartProblem(.busy, "\(settings.file): cannot start \(program) just now: \(reason)")
    case ENOEXEC:
      return StartProblem(
        .broken, "\(settings.file): command: \(program) is neither a program nor a script with a \"#!\" line; add one")
    case ENOENT:
      return StartProblem(
        .broken,
        "\(settings.file): command: \(program) was found, but the interpreter in its \"#!\" line or its loader, "
          + "or the folder \(directory), is missing")
    default:
      return StartProblem(
        .broken, "\(settings.file): command: cannot start \(program) in \(directory): \(reason); check its permissions")
    }
  }
}

/// A NULL-terminated array of C strings, freed with its owner.
final class CStringList {
  /// The strings and a final nil.
  let pointers: [UnsafeMutablePointer<CChar>?]

  init(_ strings: [String]) { pointers = strings.map { strdup($0) } + [nil] }
  init(_ strings: [[CChar]]) { pointers = strings.map { strdup($0) } + [nil] }

  deinit { for pointer in pointers { free(pointer) } }
}
