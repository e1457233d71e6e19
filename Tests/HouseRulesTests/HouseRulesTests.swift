/// What holds for the whole tree and no compiler checks: who may rename, who may import whom, that every audit event is
/// documented and every test is run.
import JobModel
import Testing

@Suite("House rules")
struct HouseRulesTests {
  private let sources = SourceTree.swiftFiles("Sources")
  private let tests = SourceTree.swiftFiles("Tests")

  @Test("the tree is found")
  func tree() {
    #expect(sources.count > 50 && tests.count > 10)
    #expect(sources.contains { $0.path == "Sources/SpoolStore/Transitions.swift" })
  }

  /// Files beside them that rename or unlink, and what: never a job.
  private static let otherRenames = [
    "Sources/SpoolStore/SpoolSyscalls.swift": "the calls themselves",
    "Sources/SpoolStore/Spool.swift": "a probe in tmp/ for RENAME_NOREPLACE",
    "Sources/SpoolStore/Control.swift": "requests in ctl/",
    "Sources/jobspool/Commands/RunOnce.swift": "its own temporary log",
    "Sources/JobEngine/Engine+Answers.swift": "requests in ctl/",
    "Sources/jobspool/Commands/Edit.swift": "the draft of an edit, in a folder for temporary files",
    "Sources/SpoolStore/AuditLog.swift": "audit files past their retention",
    "Sources/SpoolStore/RollupFile.swift": "rollups and how far retention has read, in log/",
    "Sources/SpoolStore/IndexWriter.swift": "the audit log's index, in log/index/",
    "Sources/SpoolStore/AgendaFile.swift": "log/agenda.checkpoint",
    "Sources/JobEngine/StatusFile.swift": "status.json",
    "Sources/JobSecrets/KeyFile.swift": "data.key and data.pub",
    "Sources/JobEngine/Engine+Drain.swift": "status.json",
  ]

  @Test("only Intake, Transitions, ClaimMoves and EndMoves rename or unlink jobs")
  func renames() {
    let calls = ["rename(", "unlink(", "renameat(", "renameat2(", "unlinkat(", "remove(atPath", "moveItem("]
    let states = ["JobState", ".new)", ".cur)", ".done)", ".dead)", ".hold)", "in: .", "JobID.fileName"]
    for file in sources {
      let mayMove =
        ["Intake.swift", "ClaimMoves.swift", "EndMoves.swift"].contains(file.name) || file.name.hasPrefix("Transitions")
      if mayMove, file.module == "SpoolStore" { continue }
      let code = file.code
      for (index, line) in code.enumerated() where calls.contains(where: { line.text.contains($0) }) {
        #expect(
          HouseRulesTests.otherRenames[file.path] != nil,
          "\(file.path):\(line.number) renames or unlinks; jobs are moved by SpoolStore/Transitions*.swift alone")
        guard file.name != "SpoolSyscalls.swift" else { continue }
        // The statement goes on for a line or two.
        let statement = code[index..<min(index + 2, code.count)].map { String($0.text) }.joined()
        for state in states {
          #expect(!statement.contains(state), "\(file.path):\(line.number) touches a state's folder (\(state))")
        }
      }
    }
  }

  /// What each module of ours may import of ours; a program may import what it is made of.
  private static let imports: [String: Set<String>] = [
    "JobModel": [],
    "SpoolStore": ["JobModel", "CSpoolShims"],
    "SpoolConfig": ["JobModel", "JobSchema", "CTomlShim"],
    "JobSchema": ["JobModel"],
    "JobSecrets": ["JobModel"],
    "JobSubmission": ["JobModel", "JobSchema", "JobSecrets", "SpoolConfig"],
    "SpoolWatch": ["CSpoolShims"],
    "JobEngine": ["JobModel", "SpoolStore", "JobSchema", "JobSecrets", "CSpoolShims"],
    "JobHandlers": ["JobModel", "SpoolStore", "JobEngine", "CSpoolShims"],
    "SpoolHistory": ["JobModel", "SpoolStore", "SpoolConfig", "CSpoolShims"],
    "WebAPI": [
      "JobModel", "SpoolStore", "SpoolConfig", "SpoolHistory", "JobSchema", "JobSecrets", "SpoolWatch", "CSpoolShims",
      "CDashboard", "JobSubmission",
    ],
    "JobspoolClient": ["JobModel", "JobSchema", "JobSecrets", "SpoolStore", "SpoolConfig", "CSpoolShims"],
    "jobspool": [
      "JobModel", "JobSubmission", "SpoolStore", "SpoolConfig", "SpoolHistory", "SpoolWatch", "JobSchema", "JobSecrets",
      "JobEngine", "JobHandlers", "CSpoolShims",
    ],
    "jobspoold": [
      "JobModel", "SpoolStore", "SpoolConfig", "SpoolWatch", "JobSchema", "JobSecrets", "JobEngine", "JobHandlers",
      "CSpoolShims",
    ],
    // Its crash must touch no job: it runs no handlers and knows no engine.
    "jobspool-web": [
      "JobModel", "SpoolStore", "SpoolConfig", "SpoolHistory", "SpoolWatch", "JobSchema", "JobSecrets", "WebAPI",
      "CSpoolShims",
    ],
  ]

  private func imported(_ file: SourceTree.File) -> [(number: Int, module: String)] {
    file.code.compactMap { number, line in
      let words = line.split(whereSeparator: \.isWhitespace)
      guard let place = words.firstIndex(of: "import"), place <= 1, let module = words[(place + 1)...].last else {
        return nil
      }
      return (number, String(module.split(separator: ".")[0]))
    }
  }

  @Test("imports point down")
  func importDirections() {
    let ours = Set(HouseRulesTests.imports.keys).union(["CSpoolShims", "CTomlShim", "CInotifyTools"])
    for file in sources {
      guard let allowed = HouseRulesTests.imports[file.module] else {
        #expect(file.module == "spoolbench", "the module \(file.module) has no rule here; STYLE: imports point down")
        continue
      }
      for (number, module) in imported(file) where ours.contains(module) {
        #expect(allowed.contains(module), "\(file.path):\(number) imports \(module)")
      }
    }
  }

  @Test("the model does no input or output, and Foundation stays out of the small programs")
  func foreignImports() {
    for file in sources {
      for (number, module) in imported(file) {
        #expect(module != "Foundation", "\(file.path):\(number) imports Foundation, some 40 MB of it")
        if file.module == "JobModel" {
          #expect(module == "FoundationEssentials", "\(file.path):\(number): the model imports \(module)")
        }
        if ["Hummingbird", "HummingbirdCore", "NIOCore", "NIOWebSocket", "JWTKit"].contains(module) {
          #expect(["WebAPI", "jobspool-web"].contains(file.module), "\(file.path):\(number) imports \(module)")
        }
      }
    }
  }

  @Test("every file of the dashboard is embedded")
  func dashboardFiles() throws {
    let table = try #require(SourceTree.file("Sources/CDashboard/CDashboard.c")).text
    let names = SourceTree.names("\(SourceTree.root)/Sources/CDashboard/page")
    #expect(names.count > 10)
    for name in names { #expect(table.contains("#embed \"page/\(name)\""), "page/\(name) is not in CDashboard.c") }
  }

  @Test("every audit event has its entry in docs/AUDIT-LOG.md, and every entry its event")
  func auditEvents() throws {
    let document = try #require(SourceTree.file("docs/AUDIT-LOG.md"))
    let entries = document.lines.filter { $0.hasPrefix("### ") }.map { String($0.dropFirst(4)) }
    #expect(Set(entries).count == entries.count, "an entry is there twice")
    #expect(Set(entries) == Set(AuditEvent.allCases.map(\.rawValue)))
  }

  @Test("every function of a suite that looks like a test is one")
  func everyTestRuns() {
    for file in tests where file.text.contains("import Testing") {
      let lines = file.lines
      for (index, line) in lines.enumerated() where line.contains("func test") {
        let before = lines[max(0, index - 12)..<index]
        #expect(
          line.contains("@Test") || before.contains { $0.contains("@Test") },
          "\(file.path):\(index + 1) is never run")
      }
    }
  }

  @Test("tests with a process of their own are in the suites that run by themselves")
  func processesOfTheirOwn() {
    // Among the others such a test may never end: what waits for its process is held up by any child that nobody has reaped.
    let call = "processExits" + "With"
    var calls = 0
    for file in tests {
      var suite = ""
      for (number, line) in file.code {
        let type = /^(?:\S.*)?\b(?:struct|class|enum|actor|extension) (\w+)/
        if let name = line.firstMatch(of: type)?.1 {
          suite = String(name)
        } else if line.first?.isWhitespace == false, line.contains("func ") {
          suite = ""
        }
        guard line.contains(call) else { continue }
        calls += 1
        #expect(suite.contains("SoleOwnerTests"), "\(file.path):\(number) is in \(suite)")
      }
    }
    #expect(calls > 5)
  }

  @Test("a living writer cannot lose its staged file to the sweeper")
  func staging() {
    #expect(Limits.stagingSeconds < Limits.sweepStagingSeconds)
  }

  @Test("names of files that belong to a job fit into any file system")
  func nameLengths() {
    // `.adopt.ID`, `.ID.RANDOM` and `ID.json` in at most 255 bytes.
    #expect(Limits.idLength + 32 <= 255)
  }

  @Test("a transition leads from where its file is to where its event says")
  func transitions() {
    for transition in Transition.allCases {
      #expect(!transition.from.isEmpty)
      if transition.from == [.cur], transition != .unclaim { #expect(transition.event != nil, "\(transition)") }
      if let to = transition.to { #expect(!transition.from.contains(to), "\(transition)") }
    }
  }
}
