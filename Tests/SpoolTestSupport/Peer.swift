// Asks another program's opinion: the scripts of Tests/Peers answer questions, a line each, and our tests compare.

import Glibc

/// Runs a script of Tests/Peers on these lines. What it prints, errors included, comes back as lines: a peer that is
/// missing says so there, and the comparison fails with its words.
///
/// - Parameter file: the calling test's file, two folders below the package.
package func askPeer(_ script: String, _ lines: [String], file: String = #filePath) throws -> [String] {
  let tests = file.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
  var path = Array("/tmp/peer-XXXXXX".utf8CString)
  let descriptor = mkstemp(&path)
  guard descriptor >= 0 else { throw PeerProblem(message: "cannot make a temporary file: errno \(errno)") }
  let input = String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  defer { unlink(input) }
  let bytes = Array((lines.joined(separator: "\n") + "\n").utf8)
  let written = write(descriptor, bytes, bytes.count)
  close(descriptor)
  guard written == bytes.count else { throw PeerProblem(message: "cannot write \(input)") }

  guard let pipe = popen("exec python3 '\(tests)/Peers/\(script)' < '\(input)' 2>&1", "r") else {
    throw PeerProblem(message: "cannot run python3: errno \(errno)")
  }
  defer { pclose(pipe) }
  var output: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = fread(&buffer, 1, buffer.count, pipe)
    if count == 0 { break }
    output += buffer[..<count]
  }
  return String(decoding: output, as: UTF8.self).split(separator: "\n").map(String.init)
}

package struct PeerProblem: Error {
  package var message: String
}
