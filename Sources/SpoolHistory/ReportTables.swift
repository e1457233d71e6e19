/// A report as tables of text: what the terminal and the page show, so that they never differ.
internal import JobModel

extension Report {
  package struct Table: Sendable {
    package var heading: String
    package var columns: [String]
    package var rows: [[String]]
    /// A sentence under it.
    package var remark: String?
  }

  /// What the report is about, in one line.
  package var summary: String {
    let rounded = numbers.isRounded ? "; its first day counts whole" : ""
    return "\(numbers.since.rfc3339) to \(until.rfc3339)\(rounded)"
  }

  package var tables: [Table] { [totals, durations, errors, capacities] }

  private var rows: [(name: String, numbers: Rollup.OfType)] {
    let named = types.map { (name: $0.name.isEmpty ? "(unknown)" : $0.name, numbers: $0.numbers) }
    return named + (named.count == 1 ? [] : [(name: "all", numbers: numbers.rollup.total)])
  }

  private var totals: Table {
    Table(
      heading: "Totals",
      columns: ["type", "submitted", "done", "failed", "other", "retried", "success", "SLA kept"],
      rows: rows.map { name, type in
        [
          name, "\(type.submitted)", "\(type.done)", "\(type.failed)", "\(type.otherwise)", "\(type.retried)",
          Figure.percent(type.success), Figure.percent(type.slaShare),
        ]
      })
  }

  private var durations: Table {
    func spread(_ histogram: Histogram) -> [String] {
      [histogram.mean, histogram.percentile(0.5), histogram.percentile(0.95)].map(Figure.duration)
    }
    return Table(
      heading: "Durations",
      columns: ["type", "run mean", "p50", "p95", "longest", "wait mean", "p50", "p95"],
      rows: rows.map { name, type in
        [name] + spread(type.run)
          + [type.run.count == 0 ? "-" : Figure.duration(.microseconds(type.run.longest))] + spread(type.wait)
      })
  }

  private var errors: Table {
    let all = numbers.rollup.errorsByCount
    let more = all.count - Report.errorsShown
    return Table(
      heading: "Top errors", columns: ["count", "type", "code", "message"],
      rows: all.prefix(Report.errorsShown).map { ["\($0.times)", $0.kind.type, $0.kind.code, $0.kind.message] },
      remark: all.isEmpty ? "None." : more > 0 ? "\(more) more kinds of errors." : nil)
  }

  private var capacities: Table {
    let total = numbers.rollup.total
    let capacity = capacity(total)
    var remark = "\(waiting) jobs wait now."
    if let needed = capacity.needed, let maxJobs, needed > Double(maxJobs) {
      remark += " More came in than max_jobs = \(maxJobs) can do: raise it, or shorten the runs."
    }
    for (name, type) in types {
      guard let needed = self.capacity(type).needed, let room = concurrency[name], needed > Double(room) else {
        continue
      }
      remark += " \(name) needs more than its concurrency = \(room)."
    }
    return Table(
      heading: "Capacity",
      columns: ["type", "arrivals/h", "completions/h", "concurrency needed", "used", "allowed"],
      rows: rows.map { name, type in
        let capacity = self.capacity(type)
        let room = name == "all" && types.count != 1 ? maxJobs : concurrency[name]
        return [
          name, Figure.text(capacity.arrivalsPerHour), Figure.text(capacity.completionsPerHour),
          capacity.needed.map(Figure.text) ?? "-", Figure.text(capacity.busy), room.map { "\($0)" } ?? "-",
        ]
      },
      remark: remark)
  }
}
