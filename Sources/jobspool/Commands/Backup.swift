/// `backup`: a copy of the spool that a restore makes a spool of again.
internal import ArgumentParser
internal import Glibc
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

struct Backup: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Copy the spool, while it works, to a folder or another machine (rsync).",
    discussion: """
      DEST gets a folder for each backup, named by its time, and 'latest', which points to the newest. What has not \
      changed since the one before is linked, so it takes no room. HOST:FOLDER is reached by ssh, without a password.

      Every job accepted before it began is in it, once, at whatever moment it is taken; so are the configuration, the \
      handlers' files and the schedules. Keys are only with --with-secrets. Programs of handlers are not.

        jobspool backup /backup/queue --keep 14
        jobspool backup backup@vault:queue --verify
        jobspool restore /backup/queue --spool /var/spool/jobspool
      """)

  @Argument(help: ArgumentHelp("Where to: a folder, or HOST:FOLDER.", valueName: "dest"))
  var destination: String

  @Option(help: "Keep only so many backups there; unfinished ones go too.")
  var keep: Int?

  @Flag(name: .customLong("with-secrets"), help: "Copy secret/ too: keys that open sealed fields and sign tokens.")
  var withSecrets = false

  @Flag(help: "Restore it to a temporary folder afterwards and check that; 1 when something is wrong.")
  var verify = false

  @OptionGroup var options: SpoolOptions

  func validate() throws {
    if let keep, keep < 1 { throw ValidationError("--keep takes a count from 1") }
  }

  func run() throws {
    let spool = try options.open()
    let configuration = options.configuration(of: spool)
    let rsync = try Rsync()
    let place = BackupPlace(destination, rsync: rsync)
    if place.isWithin(spool.path) {
      throw Failure("\(destination) lies within the spool; a backup belongs to another disk", exit: 64)
    }
    let bar = ProgressBar("copying", silent: options.json)
    let earlier = try place.generations()
    let name = BackupPlace.name(at: .current)
    guard !(earlier.whole + earlier.unfinished).contains(name) else {
      throw Failure("\(name) is being written at this moment by another backup; try again", exit: 75)
    }
    let run = BackupRun(
      spool: spool, configuration: configuration, place: place, withSecrets: withSecrets, bar: bar)
    let end = try run.take(named: name, base: earlier.whole.last)
    bar.clear()
    let removed = try prune(place, earlier)
    let problems = try verify ? verified("\(place.path)/\(name)", place) : nil
    if options.json { json(end, place, removed, problems) } else { text(end, place, removed, problems) }
    remark(configuration)
    if problems?.isEmpty == false { throw Failure.silent(1) }
  }

  /// Removes what `--keep` leaves no room for, and what an interrupted backup left before this one.
  private func prune(_ place: BackupPlace, _ earlier: BackupPlace.Generations) throws -> [String] {
    guard let keep else { return [] }
    let old = Array(earlier.whole.dropLast(keep - 1)) + earlier.unfinished
    try place.remove(old)
    return old
  }

  /// What a restore of it finds wrong. The restore is another process: it may become another user.
  private func verified(_ generation: String, _ place: BackupPlace) throws -> [String] {
    let scratch = try ScratchFolder(in: place.isRemote ? nil : place.path)
    chmod(scratch.path, 0o711)
    let end = try ChildProgram.run(
      "/proc/self/exe", ["jobspool", "restore", generation, "--spool", "\(scratch.path)/spool", "--json"], input: [],
      extra: nil, captures: true)
    guard let answer = try? JSONReader.parse(Array(end.output.utf8)), let problems = answer["problems"]?.array else {
      return ["the trial restore failed with \(end.exit): \(end.errors)"]
    }
    return problems.compactMap(\.string)
  }

  private func remark(_ configuration: Configuration) {
    if !withSecrets, let type = configuration.handlers.values.first(where: { !$0.encrypt.isEmpty })?.type {
      Console.remark(
        "\(type) has sealed fields, which only secret/data.key opens; it is not in the backup (--with-secrets)")
    }
    for problem in configuration.errors.prefix(1) {
      Console.remark("the configuration has mistakes, and was copied as it is: \(problem.description)")
    }
  }

  private func text(_ end: BackupRun.End, _ place: BackupPlace, _ removed: [String], _ problems: [String]?) {
    for problem in problems ?? [] { Console.line("problem: \(Console.plain(problem))") }
    for name in removed { Console.remark("removed \(name)") }
    Console.line("\(place.path)/\(end.name)")
    let jobs = end.manifest.jobs.values.reduce(0, +)
    let took = Age.text(end.manifest.endedAt - end.manifest.startedAt)
    Console.remark("\(jobs) jobs in \(took)\(problems.map { $0.isEmpty ? ", a trial restore is sound" : "" } ?? "")")
  }

  private func json(_ end: BackupRun.End, _ place: BackupPlace, _ removed: [String], _ problems: [String]?) {
    Console.json { writer in
      writer.beginObject()
      writer.key("backup")
      writer.string("\(place.path)/\(end.name)")
      writer.key("started_at")
      writer.time(end.manifest.startedAt)
      writer.key("ended_at")
      writer.time(end.manifest.endedAt)
      writer.key("jobs")
      writer.int(end.manifest.jobs.values.reduce(0, +))
      writer.key("rounds")
      writer.int(end.rounds)
      writer.key("removed")
      writer.beginArray()
      for name in removed { writer.string(name) }
      writer.endArray()
      if let problems {
        writer.key("problems")
        writer.beginArray()
        for problem in problems { writer.string(problem) }
        writer.endArray()
      }
      writer.endObject()
    }
  }
}
