/// One job as a list shows it: everything but payload and result.
package import JobModel

/// Where a job stands, finer than its folder: what `--state` may name besides `new` and the outcomes.
package enum JobPhase: String, Sendable, CaseIterable {
  /// In `new/`: could start now.
  case ready
  /// In `new/`: not before its time.
  case scheduled
  /// In `new/`: waits for its next attempt.
  case retry
  /// In `new/`: waits for other jobs.
  case blocked
  case cur, done, dead, hold
}

package struct JobRow: Sendable, Equatable {
  package var id: String
  package var state: JobState
  package var phase: JobPhase
  package var outcome: JobOutcome?
  /// nil for a file that could not be read as a job.
  package var type: String?
  package var priority: UInt8 = 5
  package var submittedAt: WallTime
  package var submittedBy: JobRecord.Submitter?
  package var updatedAt: WallTime
  /// For waiting jobs: when they may start.
  package var due: WallTime?
  /// When the running attempt, or the last one, began.
  package var startedAt: WallTime?
  package var finishedAt: WallTime?
  /// Attempts used, the running one included.
  package var attempt = 0
  /// How long the last attempt ran, and waited before; where the one who made the row knows.
  package var run: Duration?
  package var wait: Duration?
  package var tags: [String] = []
  /// JSON text of an object.
  package var meta: [UInt8]?
  package var batch: String?
  package var parent: String?
  package var after: [Job.Parent] = []
  package var error: JobError?
  package var progress: JobRecord.Progress?

  package init(id: String, state: JobState, phase: JobPhase, submittedAt: WallTime, updatedAt: WallTime) {
    self.id = id
    self.state = state
    self.phase = phase
    self.submittedAt = submittedAt
    self.updatedAt = updatedAt
  }

  /// How long its last attempt ran, or has been running.
  package func duration(now: WallTime) -> Duration? {
    guard let startedAt else { return nil }
    return (finishedAt ?? (state == .cur ? now : updatedAt)) - startedAt
  }

  package func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("id")
    writer.string(id)
    writer.key("type")
    if let type { writer.string(type) } else { writer.null() }
    writer.key("state")
    writer.string(state.rawValue)
    writer.key("phase")
    writer.string(phase.rawValue)
    if let outcome {
      writer.key("outcome")
      writer.string(outcome.rawValue)
    }
    writer.key("priority")
    writer.int(priority)
    writer.key("attempt")
    writer.int(attempt)
    writer.key("submitted_at")
    writer.time(submittedAt)
    if let submittedBy {
      writer.key("submitted_by")
      submittedBy.write(to: &writer)
    }
    writer.key("updated_at")
    writer.time(updatedAt)
    writeTimes(to: &writer)
    writer.key("tags")
    writer.beginArray()
    for tag in tags { writer.string(tag) }
    writer.endArray()
    if let meta {
      writer.key("meta")
      writer.raw(meta)
    }
    if let batch {
      writer.key("batch")
      writer.string(batch)
    }
    if let parent {
      writer.key("parent")
      writer.string(parent)
    }
    if let progress, !progress.isEmpty {
      writer.key("progress")
      progress.write(to: &writer)
    }
    if let error {
      writer.key("error")
      error.write(to: &writer)
    }
    writer.endObject()
  }

  private func writeTimes(to writer: inout JSONWriter) {
    if let due {
      writer.key("due")
      writer.time(due)
    }
    if let startedAt {
      writer.key("started_at")
      writer.time(startedAt)
    }
    if let finishedAt {
      writer.key("finished_at")
      writer.time(finishedAt)
    }
    if let run {
      writer.key("run_s")
      writer.double(Double(run.inMicroseconds) / 1e6)
    }
    if let wait {
      writer.key("wait_s")
      writer.double(Double(wait.inMicroseconds) / 1e6)
    }
  }
}

extension JobRecord.Submitter {
  package func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("uid")
    writer.int(uid)
    writer.key("user")
    writer.string(user)
    if let subject {
      writer.key("subject")
      writer.string(subject)
    }
    writer.endObject()
  }
}
