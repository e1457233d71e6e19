/// Backups put together from pieces of different moments, as a copy of a working spool is, and what a restore makes of them.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("Restoration") struct RestorationTests {
  /// Everything in a spool that a backup copies, at one moment.
  private struct Moment {
    /// Path below the spool → bytes.
    var files: [String: [UInt8]] = [:]
    var mark: LogMark

    init(_ test: TestSpool) throws {
      mark = try LogMark(test.open())
      for folder in ["new", "cur", "hold", "done", "dead", "log"] {
        for name in TestSpool.names("\(test.path)/\(folder)") where name != "jobs" {
          files["\(folder)/\(name)"] = TestSpool.contents("\(test.path)/\(folder)/\(name)")
        }
      }
    }

    func states(of id: String) -> [JobState] { JobState.allCases.filter { files["\($0.rawValue)/\(id).json"] != nil } }
  }

  private static func manifest(_ began: Moment, _ log: Moment, late: [String] = []) -> BackupManifest {
    var manifest = BackupManifest(program: "test", node: "node-a", spool: "/", startedAt: JobFactory.now)
    manifest.began = began.mark
    manifest.log = log.mark
    manifest.late = late
    return manifest
  }

  private struct Restored {
    var test: TestSpool
    var report: Restoration.Report
    var recovery: Recovery.Report
    var problems: [FsckFinding]
  }

  /// What `jobspool restore` does with the files of a copy. On another machine, whose name sorts before the old one.
  private static func restore(_ files: [String: [UInt8]], _ manifest: BackupManifest) throws -> Restored {
    let test = try TestSpool()
    for (path, bytes) in files { try TestSpool.write(bytes, to: "\(test.path)/\(path)") }
    let spool = try test.open()
    try Restoration.cutLog(of: spool, to: manifest)
    let now = JobFactory.later(60)
    let transitions = try test.transitions(at: now, node: "a-node")
    let report = try Restoration(transitions: transitions, manifest: manifest).run()
    let recovery = try Recovery(
      transitions: transitions, maxJobBytes: 1 << 20, now: now, policy: { _ in RetryPolicy() }, random: { 0.5 }
    ).run()
    try transitions.audit.commit()
    var fsck = Fsck(spool, now: now)
    try fsck.run()
    return Restored(test: test, report: report, recovery: recovery, problems: fsck.problems)
  }

  /// Some seconds in the life of a few jobs, with a picture after each step.
  private final class Story {
    let test: TestSpool
    let life: Life
    var moments: [Moment] = []
    var numbers: SeededRandom
    private var count = 0

    init(seed: UInt64, steps: Int) throws {
      test = try TestSpool()
      life = try Life(test)
      numbers = SeededRandom(seed)
      for _ in 0..<4 { try submit() }
      moments.append(try Moment(test))
      for _ in 0..<steps { try step() }
    }

    private func picture() throws { moments.append(try Moment(test)) }

    private func submit() throws {
      count += 1
      let id = "j\(count)"
      // One in six is refused when it is claimed.
      let text = count % 6 == 5 ? "{\"type\":7}" : JobFactory.json(payload: "{\"n\":\(count)}")
      try test.drop(id, text)
      if Int.random(in: 0..<3, using: &numbers) > 0 {
        try life.transitions.audit.append(.submitted, at: life.now, job: id, type: "demo")
        try life.transitions.audit.flush()
      }
    }

    private func step() throws {
      if count < 12, Int.random(in: 0..<4, using: &numbers) == 0 {
        try submit()
        return try picture()
      }
      guard
        let id = (1...count).map({ "j\($0)" }).filter({ !test.states(of: $0).isEmpty }).randomElement(using: &numbers)
      else { return }
      let by = "somebody"
      switch try #require(test.states(of: id).first) {
      case .new:
        if Int.random(in: 0..<6, using: &numbers) == 0 {
          try life.transitions.hold(id, type: "demo", at: life.now, by: by)
          try life.transitions.audit.flush()
          return try picture()
        }
        // Claimed, and nothing in the log yet.
        guard let claim = try life.transitions.claim(id, limit: 1 << 20) else { return }
        try picture()
        if case .failure(let problem) = claim.content {
          var record = life.taken(claim)
          Life.finish(&record, .reject)
          record.error = problem.error
          return try settle(Settlement(claim, .reject, record))
        }
        try life.transitions.noteClaim(claim, type: "demo", attempt: life.taken(claim).attempt + 1, at: life.now)
        try life.transitions.audit.flush()
        try picture()
      case .cur:
        guard let claim = try life.transitions.read(id, limit: 1 << 20) else { return }
        var record = life.taken(claim)
        let transition = try #require(
          [Transition.finish, .finish, .bury, .retry, .retry, .release].randomElement(using: &numbers))
        if transition != .release {
          record.add(JobFactory.attempt(record.attempt + 1, transition == .finish ? .done : .failed))
        }
        let large = "\"" + String(repeating: "x", count: 6000) + "\""
        Life.finish(&record, transition, result: Int.random(in: 0..<3, using: &numbers) == 0 ? large : nil)
        try settle(Settlement(claim, transition, record))
      case .done, .dead:
        let state = test.states(of: id)[0]
        if Int.random(in: 0..<3, using: &numbers) == 0 {
          try life.transitions.purge(id, from: state, type: "demo", at: life.now, by: by, reason: "test")
        } else if try test.job(id, state).isBare == false {
          try life.transitions.requeue(id, from: state, type: "demo", at: life.now, by: by)
        }
        try life.transitions.audit.flush()
        try picture()
      case .hold:
        try life.transitions.unhold(id, type: "demo", at: life.now, by: by)
        try life.transitions.audit.flush()
        try picture()
      }
    }

    /// With a picture of the file with its record, and of the line without its rename.
    private func settle(_ settlement: Settlement) throws {
      try life.transitions.write(settlement)
      try picture()
      try life.transitions.note(settlement, at: life.now)
      try life.transitions.audit.commit()
      try picture()
      _ = try life.transitions.publish(settlement)
      try picture()
    }

    /// A backup begun at one picture, whose log was copied at another: each file is taken from any picture in between.
    func backup(_ began: Int, _ log: Int) throws -> (files: [String: [UInt8]], late: Set<String>) {
      var files = moments[log...].randomElement(using: &numbers)?.files.filter { $0.key.hasPrefix("log/") } ?? [:]
      let changes = try moments[log].mark.changes(since: moments[began].mark, in: test.open())
      var late = changes.fileOnly.subtracting(changes.gone)
      var ids = changes.jobs
      for moment in moments[began...log] {
        for path in moment.files.keys where path.hasSuffix(".json") && !path.hasPrefix("log/") {
          ids.insert(String(path.split(separator: "/")[1].dropLast(5)))
        }
      }
      for id in ids.sorted() {
        var found = try copy(id, moments[began...log])
        if changes.jobs.contains(id) { found.merge(try copy(id, moments[began...log])) { _, new in new } }
        if !changes.gone.contains(id), found.isEmpty || late.contains(id) {
          // After the log: until it is there, or removed.
          for moment in log..<moments.count where found.isEmpty || moment == log {
            found.merge(try copy(id, moments[moment...moment])) { _, new in new }
          }
          late.insert(id)
        }
        files.merge(found) { _, new in new }
      }
      return (files, late)
    }

    /// One look at the folders, in their order, while time goes on.
    private func copy(_ id: String, _ span: ArraySlice<Moment>) throws -> [String: [UInt8]] {
      var found: [String: [UInt8]] = [:]
      var at = Int.random(in: span.indices, using: &numbers)
      for path in [
        "new/\(id).json", "cur/\(id).json", "hold/\(id).json", "done/\(id).json", "dead/\(id).json", "dead/\(id).bad",
      ] {
        if let bytes = span[at].files[path] { found[path] = bytes }
        if Bool.random(using: &numbers), at + 1 < span.endIndex { at += 1 }
      }
      return found
    }
  }

  @Test(
    "a restore holds every job accepted before the backup began, once, whatever moments its files are of",
    arguments: 1...12)
  func anyMoments(seed: UInt64) throws {
    let story = try Story(seed: seed, steps: 60)
    for _ in 0..<12 {
      let began = Int.random(in: 0..<story.moments.count, using: &story.numbers)
      let log = Int.random(in: began..<story.moments.count, using: &story.numbers)
      let (files, late) = try story.backup(began, log)
      let from = story.moments[began]
      let then = story.moments[log]
      let restored = try RestorationTests.restore(
        files, RestorationTests.manifest(from, then, late: late.sorted()))
      let about = Comment(rawValue: "seed \(seed), pictures \(began) to \(log) of \(story.moments.count)")
      #expect(restored.problems.isEmpty, "\(restored.problems.map { "\($0.path): \($0.message)" }), \(about)")
      #expect(restored.recovery.problems.isEmpty, "\(restored.recovery.problems), \(about)")
      #expect(restored.test.names(in: .cur).isEmpty, about)
      for number in 1...12 {
        let id = "j\(number)"
        let now = restored.test.states(of: id)
        #expect(now.count <= 1, "\(id) is in \(now), \(about)")
        guard !from.states(of: id).isEmpty else { continue }
        // Removed by the log's moment; or later, and before its file was copied.
        let isGone = then.states(of: id).isEmpty || files.keys.allSatisfy { !$0.hasSuffix("/\(id).json") }
        #expect(now.isEmpty == isGone, "\(id) was in \(then.states(of: id)) and is in \(now), \(about)")
        guard let was = then.states(of: id).first, let state = now.first else { continue }
        switch was {
        case .done, .dead, .hold:
          #expect(state == was, "\(id) was in \(was) and is in \(state), \(about)")
          #expect(restored.test.bytes(id, state) == then.files["\(was.rawValue)/\(id).json"], "\(id), \(about)")
        case .new, .cur:
          // What ran has run to the end by the log, or was cut off and is to run again, or is a refused file.
          if was == .new {
            #expect(state == .new || state == .dead && number % 6 == 5, "\(id) is in \(state), \(about)")
          }
        }
      }
    }
  }

  @Test("a twin that waits beside its job when the backup is taken waits beside it afterwards")
  func twin() throws {
    let test = try TestSpool()
    let life = try Life(test)
    try test.drop("a", JobFactory.json())
    let began = try Moment(test)
    try life.run("a", .finish)
    try test.drop("a", JobFactory.json(payload: "2"))
    let log = try Moment(test)
    let restored = try RestorationTests.restore(log.files, RestorationTests.manifest(began, log))
    #expect(restored.test.states(of: "a") == [.new, .done])
    #expect(restored.test.text("a", .new) == JobFactory.json(payload: "2") && restored.problems.isEmpty)
    // The file that was copied before it ran is no twin.
    var both = log.files
    both["new/a.json"] = began.files["new/a.json"]
    let once = try RestorationTests.restore(both, RestorationTests.manifest(began, log))
    #expect(once.test.states(of: "a") == [.done] && once.report.doubled == 1)
  }

  @Test("lines behind the moment of the backup are cut off, and files of later days go")
  func cut() throws {
    let test = try TestSpool()
    let life = try Life(test)
    try test.drop("a", JobFactory.json())
    let began = try Moment(test)
    try life.run("a", .finish)
    let log = try Moment(test)
    try test.drop("b", JobFactory.json())
    try life.run("b", .finish)
    var files = try Moment(test).files
    files["log/audit-node-a-2030-01-01.jsonl"] = Array("{}\n".utf8)
    let restored = try RestorationTests.restore(files, RestorationTests.manifest(began, log, late: ["b"]))
    // The log of that moment does not know b, whose file was copied later: it waits, as it did.
    #expect(restored.test.states(of: "a") == [.done] && restored.test.states(of: "b") == [.new])
    #expect(restored.test.text("b", .new) == JobFactory.json())
    #expect(restored.problems.isEmpty && !restored.test.auditFiles.contains("audit-node-a-2030-01-01.jsonl"))
  }

  @Test("a node whose name sorts before the last one's writes behind its lines all the same")
  func node() throws {
    let test = try TestSpool()
    let life = try Life(test)
    try test.drop("a", JobFactory.json())
    try life.run("a", .retry)
    let other = try test.transitions(node: "a-node")
    guard let claim = try other.claim("a", limit: 1 << 20) else { throw Life.NothingClaimed() }
    var record = life.taken(claim)
    Life.finish(&record, .finish)
    let settlement = Settlement(claim, .finish, record)
    try other.write(settlement)
    try other.note(settlement, at: JobFactory.now)
    try other.audit.commit()
    _ = try other.publish(settlement)
    let trace = try #require(AuditReader.traces(of: ["a"], in: test.open())["a"])
    #expect(
      trace.last == .finished
        && test.auditFiles == [
          "audit-a-node-2026-11-22.jsonl", "audit-node-a-2026-11-21.jsonl",
        ])
    // Started once more, it goes on in the same file, and the first node after it.
    #expect(try test.transitions(node: "a-node").audit.sequence == 2)
    let back = try test.transitions(node: "node-a")
    try back.audit.append(.alert, at: JobFactory.now)
    try back.audit.commit()
    #expect(try AuditFile.list(test.open()).last?.name == "audit-node-a-2026-11-22.jsonl")
  }

  @Test("a log that is shorter than when it was copied is damage")
  func short() throws {
    let test = try TestSpool()
    try test.drop("a", JobFactory.json())
    try Life(test).run("a", .finish)
    let moment = try Moment(test)
    var manifest = RestorationTests.manifest(moment, moment)
    manifest.log.sizes = manifest.log.sizes.mapValues { $0 + 1 }
    let error = #expect(throws: SpoolError.self) { try RestorationTests.restore(moment.files, manifest) }
    #expect(error?.code == .damaged)
  }

  @Test("backup.json reads back as it was written; another version is refused")
  func manifest() throws {
    var manifest = BackupManifest(program: "1", node: "n", spool: "/s", startedAt: JobFactory.now)
    manifest.endedAt = JobFactory.later(5)
    manifest.began = LogMark(sizes: ["audit-n-2026-11-21.jsonl": 5])
    manifest.log = LogMark(sizes: ["audit-n-2026-11-21.jsonl": 7, "audit-n-2026-11-22.jsonl": 0])
    manifest.late = ["a", "b"]
    manifest.jobs = ["done": 3]
    manifest.hasSecrets = true
    manifest.configFolder = "/etc/jobspool"
    #expect(try BackupManifest(manifest.json, path: "x") == manifest)
    let newer = String(decoding: manifest.json, as: UTF8.self).split(separator: "\"v\":1").joined(separator: "\"v\":2")
    #expect(throws: SpoolError.self) { try BackupManifest(Array(newer.utf8), path: "x") }
    #expect(throws: SpoolError.self) { try BackupManifest(Array("[]".utf8), path: "x") }
  }
}
