/// The repository as text, for rules that are about it.
import Glibc

enum SourceTree {
  /// The top of the repository.
  static let root: String = {
    let here = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    return here.dropLast(3).joined(separator: "/")
  }()

  struct File: Sendable, CustomStringConvertible {
    /// From the top: `Sources/JobModel/Job.swift`.
    let path: String
    let text: String
    var name: String { path.split(separator: "/").last.map(String.init) ?? path }
    var module: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }
    var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
    var description: String { path }

    /// Lines of code, with comments cut off, numbered from 1.
    var code: [(number: Int, text: Substring)] {
      lines.enumerated().compactMap { index, line in
        let code = line.firstRange(of: "//").map { line[..<$0.lowerBound] } ?? line
        return code.allSatisfy(\.isWhitespace) ? nil : (index + 1, code)
      }
    }
  }

  static func file(_ path: String) -> File? { read("\(root)/\(path)").map { File(path: path, text: $0) } }

  /// All Swift files below a folder, by path.
  static func swiftFiles(_ folder: String) -> [File] {
    var files: [File] = []
    for name in names("\(root)/\(folder)") {
      let path = "\(folder)/\(name)"
      if name.hasSuffix(".swift") {
        if let file = file(path) { files.append(file) }
      } else if !name.contains(".") {
        files += swiftFiles(path)
      }
    }
    return files
  }

  static func names(_ path: String) -> [String] {
    guard let folder = opendir(path) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }

  private static func read(_ path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let got = fread(&buffer, 1, buffer.count, file)
      if got == 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes.append(contentsOf: buffer[..<got])
    }
  }
}
