/// What is claimed with a secret in clear lies sealed in `cur/`, whoever owned the file, and its hash is that of the copy.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite struct SealingAtClaimTests {
  @Test("a payload moves nothing but what stands behind it")
  func replacing() throws {
    let plain = Array(#"{"meta":{"a":1},"payload":{"p":"x"},"type":"t","tags":["b"]}"#.utf8)
    let job = try JobScanner.scan(plain)
    let longer = job.replacing(payload: Array(#"{"p":{"sealed":"yyyyyyyy"}}"#.utf8))
    #expect(longer == (try JobScanner.scan(longer.bytes)))
    #expect(String(decoding: longer.payloadBytes, as: UTF8.self) == #"{"p":{"sealed":"yyyyyyyy"}}"#)
  }

  @Test("the sealed copy takes the place of the file, and its hash is the claim's", arguments: [false, true])
  func claimed(isLinked: Bool) throws {
    let test = try TestSpool()
    try test.drop("a", #"{"type":"t","payload":"hunter2","tags":["b"]}"# + "\n")
    // A second name: the file is not ours alone, and is adopted.
    if isLinked { #expect(link(test.file("a", .new), test.path + "/tmp/other.json") == 0) }
    let transitions = try test.transitions()
    transitions.sealing = { job in String(decoding: job.payloadBytes, as: UTF8.self) == #""hunter2""# ? [0x31] : nil }
    guard let claim = try transitions.claim("a", limit: 1 << 20) else {
      Issue.record("nothing was claimed")
      return
    }
    let sealed = #"{"type":"t","payload":1,"tags":["b"]}"# + "\n"
    #expect(test.text("a", .cur) == sealed)
    let (hash, size) = (claim.sha256, claim.size)
    #expect(hash == Digest.sha256(Array(sealed.utf8)) && size == sealed.utf8.count)
    #expect(test.names(in: Spool.Folder.tmp).filter { $0.hasPrefix(".") } == [])
  }

  @Test("what cannot be sealed goes back to where it waited")
  func failing() throws {
    let test = try TestSpool()
    try test.drop("a", #"{"type":"t","payload":"hunter2"}"#)
    let transitions = try test.transitions()
    transitions.sealing = { (_) throws(SpoolError) in throw SpoolError(.system, "no key") }
    #expect(throws: SpoolError.self) { _ = try transitions.claim("a", limit: 1 << 20)?.id }
    #expect(test.states(of: "a") == [.new])
  }
}
