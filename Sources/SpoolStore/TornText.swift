/// What a power cut can make of a job whose record was just being written over its end. The record begins where the closing
/// brace was, and of that write the disk may have any part: the new bytes under the old length, the new length with zeros
/// for bytes, some sectors of both. When the log has a line about the run, its `head` says where to cut. When that line was
/// lost as well, only the text itself can tell, and what the producer wrote has to be found in it:
///
///     {…}\n 0 0 0 …            the length got there, the bytes did not
///     {…}\n 0 … ation":1}}     and some later sector did
///     {…,"                     the bytes got there, the length did not
///     {…,"jobspool":{"id 0 0   the first sectors did
///
/// A text counts as found only if it is a whole job by the strict scanner. No producer's text holds a zero byte, and a cut
/// inside of it leaves brackets open, so nothing but the very place where a record was begun is taken for one.
internal import JobModel

enum TornText {
  private static let key = Array(",\"jobspool\":".utf8)

  /// The job as its producer wrote it, down to white space after its end; nil when that is not in these bytes.
  static func mended(_ bytes: [UInt8], id: String?) -> Job? {
    let text = bytes.firstIndex(of: 0).map { Array(bytes[..<$0]) } ?? bytes
    if text.count < bytes.count, let job = scan(text, id) { return job }
    // The key itself is there: cut before it. In the newest place first, since a payload may hold the same word.
    let word = key.dropFirst()
    var start = text.count - word.count
    while start > 0 {
      if text[start...].starts(with: word) {
        let end = text[start - 1] == key[0] ? start - 1 : start
        if let job = scan(Array(text[..<end]) + closing, id) ?? scan(Array(text[..<start]), id) { return job }
      }
      start -= 1
    }
    // Only its beginning is, perhaps with the old end's newline behind it.
    for text in [text, Array(text.trimmingNewline)] {
      for length in stride(from: min(key.count - 1, text.count), to: 0, by: -1) where text.hasSuffix(key[..<length]) {
        if let job = scan(Array(text.dropLast(length)) + closing, id) { return job }
      }
    }
    return nil
  }

  private static let closing = Array("}\n".utf8)

  private static func scan(_ text: [UInt8], _ id: String?) -> Job? {
    guard let job = try? JobScanner.scan(text, id: id), job.record == nil else { return nil }
    return job
  }
}

extension [UInt8] {
  fileprivate func hasSuffix(_ end: ArraySlice<UInt8>) -> Bool { count >= end.count && suffix(end.count) == end }
  fileprivate var trimmingNewline: ArraySlice<UInt8> { last == 0x0A ? dropLast() : self[...] }
}
