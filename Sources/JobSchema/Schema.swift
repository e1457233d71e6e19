/// JSON Schema 2020-12 for payloads, its validation vocabulary: a schema is read once, when a handler is loaded, and then
/// checks payloads. Reading is strict: a keyword that is not checked here is refused with its place, never ignored, so
/// that a schema promises no more than it keeps. Only annotations are stepped over.
///
/// Checking is safe against its input: numbers are compared exactly, regular expressions take time in proportion to
/// the text, depth and effort have bounds, and whatever cannot be judged within them is a violation. What a schema means
/// is read in SchemaLoader.swift, and what it asks of a value in Check.swift.
package import JobModel

package struct Schema: Sendable {
  /// Bytes of a schema file.
  package static let largestFile = 1 << 20
  /// Violations that one check reports; it ends with the last of them.
  package static let mostViolations = 20
  /// Schemas inside each other that look at one payload at the same time: twice the nesting that JSON may have.
  static let depth = 2 * Limits.jsonDepth
  /// Steps of one check: about a second at the worst. A payload of 1 MiB needs a fraction of it for a plain schema.
  static let effort = 16_000_000

  /// All schemas of the document; the first is the root.
  let schemas: [ReadSchema]

  /// Reads a schema.
  ///
  /// - Throws: what is wrong with it, and where; the first fault in the order of the text, except that references are
  ///   followed at the end.
  package init(_ json: [UInt8]) throws(SchemaProblem) {
    guard json.count <= Schema.largestFile else {
      throw SchemaProblem(
        pointer: "", message: "the schema has \(json.count) bytes; \(Schema.largestFile) are the most")
    }
    var loader = SchemaLoader()
    schemas = try loader.load(Schema.parse(json)).map(ReadSchema.init)
  }

  private static func parse(_ json: [UInt8]) throws(SchemaProblem) -> Instance {
    var result: Result<Instance, SchemaProblem> = .success(.null)
    json.withUnsafeBufferPointer { buffer in
      do throws(JSONReader.Problem) {
        result = .success(try Instance.parse(buffer))
      } catch {
        let place = TextPlace(offset: error.offset, in: buffer)
        result = .failure(SchemaProblem(pointer: "", message: error.message, place: place))
      }
    }
    return try result.get()
  }

  /// Checks a payload; none means that it fits.
  ///
  /// - Parameters:
  ///   - payload: JSON text. Keys that occur twice and halves of surrogate pairs are violations: what the handler would
  ///     make of them cannot be said.
  ///   - prefix: goes before each pointer that is reported, such as `/payload`.
  ///   - secret: pointers, prefix included, of values that no message may show. Violations inside are reported for the
  ///     secret value as a whole.
  package func check(_ payload: [UInt8], below prefix: String = "", hiding secret: [JSONPointer] = []) -> [Violation] {
    payload.withUnsafeBufferPointer { buffer in
      let instance: Instance
      do throws(JSONReader.Problem) {
        instance = try Instance.parse(buffer)
      } catch {
        let place = TextPlace(offset: error.offset, in: buffer)
        // The reader's words name keys, and nobody knows yet whose.
        let message = secret.isEmpty ? error.message : "is no JSON that a schema can judge (or has a key twice)"
        return [Violation(pointer: prefix, message: "line \(place.line), column \(place.column): \(message)")]
      }
      var check = Check(schemas: schemas, prefix: prefix, secrets: secret)
      return check.run(instance)
    }
  }
}
