/// Folders of a spool that are moved, deleted or replaced while it is open.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("Moved folders")
struct DisplacementTests {
  let test: TestSpool

  init() throws { test = try TestSpool() }

  @Test(
    "an open spool tells which folder is missing or replaced, and when it is back", arguments: Spool.Folder.allCases)
  func folders(_ folder: Spool.Folder) throws {
    let spool = try test.open()
    let path = "\(test.path)/\(folder.rawValue)"
    #expect(spool.displacement() == nil)
    try test.move(path, "\(path).away")
    #expect(spool.displacement() == Displacement(path: path, kind: .missing))
    #expect(mkdir(path, 0o750) == 0)
    #expect(spool.displacement() == Displacement(path: path, kind: .replaced))
    #expect(rmdir(path) == 0)
    try test.move("\(path).away", path)
    #expect(spool.displacement() == nil)
  }

  @Test("a spool that was moved as a whole is missing, and another one at its path is not it")
  func whole() throws {
    let spool = try test.open()
    let away = "\(test.path).away"
    try test.move(test.path, away)
    #expect(spool.displacement() == Displacement(path: spool.path, kind: .missing))
    try Spool.create(test.path)
    #expect(spool.displacement() == Displacement(path: spool.path, kind: .replaced))
    TestSpool.removeAll(test.path)
    try test.move(away, test.path)
    #expect(spool.displacement() == nil)
  }
}
