/// The schemas of the OpenAPI document, as JSON text: what answers look like, and what is taken.
enum Schemas {
  private static let time = #"{"type":"string","format":"date-time"}"#
  private static let seconds = #"{"type":"number","minimum":0}"#
  private static let count = #"{"type":"integer","minimum":0}"#
  private static let text = #"{"type":"string"}"#
  private static let row = ##"{"$ref":"#/components/schemas/JobRow"}"##

  private static func object(_ properties: [(String, String)], required: [String]) -> String {
    let members = properties.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",")
    let names = required.map { "\"\($0)\"" }.joined(separator: ",")
    return #"{"type":"object","properties":{\#(members)},"required":[\#(names)]}"#
  }

  private static func list(_ items: String) -> String { #"{"type":"array","items":\#(items)}"# }
  private static func words(_ words: [String]) -> String {
    #"{"type":"string","enum":[\#(words.map { "\"\($0)\"" }.joined(separator: ","))]}"#
  }
  private static func orNull(_ type: String) -> String { #"{"type":["\#(type)","null"]}"# }

  static let all: [(name: String, schema: String)] = basics + jobs + submitting + operating

  private static let basics: [(name: String, schema: String)] = [
    (
      "Problem",
      object(
        [
          ("type", text), ("title", text), ("status", #"{"type":"integer"}"#), ("code", text), ("detail", text),
          ("key", text), ("id", text), ("instance", text),
          ("jobs", list(##"{"$ref":"#/components/schemas/Problem"}"##)),
        ], required: ["type", "title", "status", "code", "detail"])
    ),
    ("Health", object([("status", #"{"const":"ok"}"#)], required: ["status"])),
    (
      "Ready",
      object(
        [
          ("status", text), ("daemon", #"{"type":"boolean"}"#), ("intake", #"{"type":"boolean"}"#),
          ("checks", list(text)),
        ],
        required: ["status", "daemon", "intake", "checks"])
    ),
    (
      "Me",
      object(
        [
          ("subject", text), ("role", words(["viewer", "producer", "operator", "admin"])), ("expires_at", time),
          ("may", list(words(["read", "submit", "operate", "admin"]))),
        ], required: ["subject", "role", "expires_at", "may"])
    ),
    (
      "Login",
      object(
        [("token", text), ("role", text), ("subject", text), ("expires_at", time)],
        required: ["token", "role", "subject", "expires_at"])
    ),
  ]

  private static let rowProperties: [(String, String)] = [
    ("id", text), ("type", orNull("string")), ("state", words(["new", "cur", "done", "dead", "hold"])),
    ("phase", words(["ready", "scheduled", "retry", "blocked", "cur", "done", "dead", "hold"])),
    ("outcome", text), ("priority", #"{"type":"integer","minimum":0,"maximum":9}"#), ("attempt", count),
    ("submitted_at", time),
    ("submitted_by", object([("uid", count), ("user", text), ("subject", text)], required: ["uid", "user"])),
    ("updated_at", time), ("due", time), ("started_at", time), ("finished_at", time), ("tags", list(text)),
    ("meta", #"{"type":"object"}"#), ("batch", text), ("parent", text),
    ("progress", object([("percent", #"{"type":"number"}"#), ("stage", text), ("message", text)], required: [])),
    ("error", ##"{"$ref":"#/components/schemas/JobError"}"##), ("run_s", seconds), ("wait_s", seconds),
  ]
  private static let rowRequired = [
    "id", "type", "state", "phase", "priority", "attempt", "submitted_at", "updated_at", "tags",
  ]

  private static let jobs: [(name: String, schema: String)] = [
    ("JobError", object([("code", text), ("message", text), ("details", "{}")], required: ["code", "message"])),
    ("JobRow", object(rowProperties, required: rowRequired)),
    (
      "JobList",
      object(
        [("jobs", list(row)), ("next", orNull("string")), ("total", count), ("complete", #"{"type":"boolean"}"#)],
        required: ["jobs", "next", "total", "complete"])
    ),
    (
      "Attempt",
      object(
        [
          ("n", count), ("started_at", time), ("ended_at", time), ("outcome", text), ("exit", #"{"type":"integer"}"#),
          ("signal", #"{"type":"integer"}"#), ("error", ##"{"$ref":"#/components/schemas/JobError"}"##),
          ("cpu_s", seconds), ("max_rss", count),
        ], required: ["n", "started_at", "ended_at", "outcome"])
    ),
    (
      "Job",
      object(
        rowProperties + [
          ("payload", "{}"), ("result", "{}"), ("attempts", list(##"{"$ref":"#/components/schemas/Attempt"}"##)),
          ("after", list(text)),
          (
            "children",
            list(
              object([("id", text), ("type", orNull("string")), ("state", text)], required: ["id", "type", "state"]))
          ),
          ("children_total", count), ("max_attempts", count), ("timeout_s", seconds), ("expires_at", time),
          ("notify", list(text)), ("next_attempt_at", time), ("handler", #"{"type":["object","null"]}"#),
          ("has_log", #"{"type":"boolean"}"#),
        ], required: rowRequired + ["attempts", "after", "handler"])
    ),
    ("JobPlace", object([("id", text), ("state", text)], required: ["id"])),
    ("AuditLines", object([("lines", list(#"{"type":"object"}"#))], required: ["lines"])),
    ("Why", object([("id", text), ("reason", text), ("text", text)], required: ["id", "reason", "text"])),
  ]

  private static let duration = #"{"type":["string","number"]}"#
  private static let jobFile: [(String, String)] = [
    ("type", #"{"type":"string","pattern":"^[a-z0-9][a-z0-9._-]{0,63}$"}"#), ("payload", "{}"),
    ("id", #"{"type":"string","pattern":"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"}"#),
    ("priority", #"{"type":"integer","minimum":0,"maximum":9}"#), ("run_at", time), ("delay", duration),
    ("expires_at", time), ("max_attempts", #"{"type":"integer","minimum":1}"#), ("backoff", #"{"type":"object"}"#),
    ("delays", #"{"type":"array"}"#), ("timeout", duration), ("after", list(text)),
    ("on_parent_dead", words(["bury", "run"])), ("batch", text), ("parent", text), ("tags", list(text)),
    ("meta", #"{"type":"object"}"#), ("notify", list(text)), ("v", #"{"const":1}"#),
  ]

  private static let submitting: [(name: String, schema: String)] = [
    ("JobFile", object(jobFile, required: ["type"]).dropLast() + #","additionalProperties":false}"#),
    ("Accepted", object([("id", text)], required: ["id"])),
    (
      "AcceptedMany",
      object(
        [
          (
            "jobs",
            list(##"{"anyOf":[{"$ref":"#/components/schemas/Accepted"},{"$ref":"#/components/schemas/Problem"}]}"##)
          ), ("accepted", count), ("refused", count),
        ], required: ["jobs", "accepted", "refused"])
    ),
  ]

  private static let filter =
    #"{"type":"object","additionalProperties":{"type":["string","array"],"items":{"type":"string"}}}"#

  private static let counts = #"{"type":"object","additionalProperties":{"type":"integer","minimum":0}}"#

  private static let operating: [(name: String, schema: String)] = [
    (
      "Bulk",
      object(
        [
          ("do", words(["requeue", "cancel", "hold", "release", "delete"])), ("filter", filter), ("ids", list(text)),
          ("dry_run", #"{"type":"boolean"}"#),
        ], required: ["do"])
    ),
    (
      "BulkDone",
      object(
        [
          ("matched", count), ("done", count),
          ("refused", list(object([("id", text), ("detail", text)], required: ["id", "detail"]))),
          ("sample", list(row)),
        ], required: ["matched", "done", "refused", "sample"])
    ),
    (
      "DeadGroups",
      object(
        [
          (
            "groups",
            list(
              object(
                [
                  ("type", orNull("string")), ("error", text), ("code", text), ("count", count), ("newest_at", time),
                  ("oldest_at", time), ("sample", row), ("filter", filter),
                ], required: ["type", "error", "code", "count", "newest_at", "oldest_at", "sample", "filter"]))
          ), ("total", count),
        ], required: ["groups", "total"])
    ),
    (
      "Types",
      object(
        [("types", list(##"{"$ref":"#/components/schemas/Type"}"##))], required: ["types"])
    ),
    (
      "Type",
      object(
        [
          ("type", text), ("mode", text), ("concurrency", count), ("running", count), ("waiting", count),
          ("paused", #"{"type":"boolean"}"#), ("paused_by", text), ("paused_since", time), ("pool", text),
          ("rate", text),
          ("circuit", words(["closed", "open", "half-open"])), ("problem", text), ("file", text),
          ("success_rate", #"{"type":["number","null"]}"#), ("run_p50_s", orNull("number")),
          ("run_p95_s", orNull("number")),
          ("sparkline", list(orNull("number"))), ("timeout_s", seconds), ("max_attempts", count),
        ], required: ["type", "running", "waiting", "paused", "circuit"])
    ),
    ("Paused", object([("type", text), ("paused", #"{"type":"boolean"}"#)], required: ["type", "paused"])),
    (
      "Schedule",
      object(
        [
          ("name", text), ("description", text), ("cron", text), ("timezone", text), ("type", text),
          ("enabled", #"{"type":"boolean"}"#), ("next_at", #"{"type":["string","null"],"format":"date-time"}"#),
          ("last_at", #"{"type":["string","null"],"format":"date-time"}"#), ("last_result", orNull("string")),
          ("last_job", orNull("string")), ("running", #"{"type":"boolean"}"#), ("overlap", text), ("catch_up", text),
          ("problem", text), ("payload", "{}"),
        ], required: ["name", "enabled", "next_at", "last_at", "last_result", "last_job", "running"])
    ),
    (
      "Schedules",
      object(
        [
          ("schedules", list(##"{"$ref":"#/components/schemas/Schedule"}"##)), ("total", count), ("enabled", count),
          ("running", count), ("paused", #"{"type":"boolean"}"#),
        ], required: ["schedules", "total", "enabled", "running", "paused"])
    ),
    (
      "Runs",
      object(
        [
          (
            "runs",
            list(
              object(
                [
                  ("id", text), ("tick", time), ("started_at", time), ("finished_at", time), ("state", text),
                  ("outcome", text), ("result", "{}"), ("error", ##"{"$ref":"#/components/schemas/JobError"}"##),
                ], required: ["id", "state"]))
          )
        ], required: ["runs"])
    ),
    (
      "Run",
      object(
        [
          ("id", text), ("state", text), ("outcome", text), ("result", "{}"),
          ("error", ##"{"$ref":"#/components/schemas/JobError"}"##),
        ], required: ["id"])
    ),
    ("Enabled", object([("name", text), ("enabled", #"{"type":"boolean"}"#)], required: ["name", "enabled"])),
    (
      "Queue",
      object(
        [
          ("counts", counts), ("outcomes", counts), ("paused", #"{"type":"object"}"#),
          ("active", list(#"{"type":"object"}"#)), ("limits", #"{"type":"object"}"#),
          ("oldest", #"{"type":"object"}"#), ("drain_s", seconds), ("lifetime", #"{"type":"object"}"#),
          ("daemon", #"{"type":"object"}"#), ("alerts", list(#"{"type":"object"}"#)),
        ],
        required: ["counts", "outcomes", "paused", "active", "limits", "oldest", "lifetime", "daemon", "alerts"])
    ),
    (
      "Stats",
      object(
        [
          ("today", counts), ("success_rate", orNull("number")), ("run", #"{"type":"object"}"#),
          ("wait", #"{"type":"object"}"#), ("days", list(#"{"type":"object"}"#)),
          ("minutes", list(#"{"type":"object"}"#)), ("system", #"{"type":"object"}"#),
          ("types", list(#"{"type":"object"}"#)), ("shape", #"{"type":"object"}"#),
        ], required: ["today", "success_rate", "run", "wait", "days", "minutes", "system", "types", "shape"])
    ),
    ("System", #"{"type":"object","required":["node","version","disk","memory","daemon"]}"#),
  ]
}
