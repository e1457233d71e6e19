/// `GET /v1/system`: the programs, the machine, the head of the audit log, and what is wrong in the configuration.
internal import Glibc
internal import HTTPTypes
internal import Hummingbird
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

enum SystemRoutes {
  static let all: [Route] = [
    Route(
      .get, "/v1/system", .read,
      Operation(
        "getSystem", "The programs, the machine, the audit log's head, mistakes in the configuration.",
        answers: [(200, "They.", [.json(schema)])])
    ) { call in
      try call.query.expect([])
      let clients = call.state.events.clientCount
      let bytes = try await call.read { [spool = call.state.spool] reader -> [UInt8] in
        var tail = AuditTail(spool)
        return json(reader, Machine.now(spool), lastLine: try tail.last(1).last, clients: clients)
      }
      return call.json(.ok, bytes)
    }
  ]

  private static let schema =
    #"{"type":"object","properties":{"node":{"type":"string"},"version":{"type":"string"},"spool":{"type":"string"},"#
    + #""web":{"type":"object"},"system":{"type":"object"},"audit":{"type":["object","null"]},"#
    + #""clients":{"type":"integer","minimum":0},"problems":{"type":"array","items":{"type":"object"}}},"#
    + #""required":["version","spool","web","system","audit","clients","problems"]}"#

  private static func json(
    _ reader: SpoolReader, _ machine: Machine, lastLine: [UInt8]?, clients: Int
  ) -> [UInt8] {
    var writer = JSONWriter(reserving: 1024)
    writer.beginObject()
    if let node = reader.status?.node {
      writer.key("node")
      writer.string(node)
    }
    writer.key("version")
    writer.string(jobspoolVersion)
    writer.key("spool")
    writer.string(reader.spool.path)
    writer.key("web")
    writer.beginObject()
    writer.key("pid")
    writer.int(Int(getpid()))
    writer.key("version")
    writer.string(jobspoolVersion)
    writer.endObject()
    writer.key("system")
    machine.write(to: &writer)
    writer.key("audit")
    writeHead(lastLine, to: &writer)
    writer.key("clients")
    writer.int(clients)
    writer.key("problems")
    writer.beginArray()
    for problem in reader.configuration?.problems ?? [] {
      writer.beginObject()
      writer.key("message")
      writer.string(problem.description)
      writer.key("severity")
      writer.string(problem.severity == .error ? "error" : "note")
      writer.endObject()
    }
    writer.endArray()
    writer.endObject()
    return writer.bytes
  }

  /// The chain ends in the hash of its last line, which no line can hold yet.
  private static func writeHead(_ line: [UInt8]?, to writer: inout JSONWriter) {
    guard let line, let value = try? JSONReader.parse(line) else { return writer.null() }
    writer.beginObject()
    for key in ["seq", "event"] {
      guard let place = JSONPointer("/\(key)")?.places(in: line).first else { continue }
      writer.key(escaping: key)
      writer.raw(line[place])
    }
    if let time = value["ts"]?.string {
      writer.key("ts")
      writer.string(time)
    }
    writer.key("sha256")
    writer.string(Digest.sha256(line))
    writer.endObject()
  }
}
