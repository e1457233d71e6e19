/// What the jobs named in `after` are doing, asked once for each. A parent counts as done by its file, or by its audit line
/// when the file has gone with retention.
package import JobModel
package import SpoolStore

package final class Parents {
  package enum Standing: Sendable, Equatable {
    case done
    /// In `dead/`; whether that stops the child is `on_parent_dead`'s to say.
    case dead
    case open(JobState)
    /// No file and no line: not submitted yet, or never.
    case unknown
  }

  /// The first parent that keeps a job from running.
  package enum Blocker: Sendable, Equatable {
    case job(String, Standing)
    /// One member of the batch that has not ended; nil: the batch has no member yet.
    case batch(String, member: String?)
  }

  private let reader: SpoolReader
  private var jobs: [String: Standing] = [:]
  private var members: [String: [String]]?
  private var settled: [String: Bool] = [:]

  package init(_ reader: SpoolReader) { self.reader = reader }

  /// nil: nothing holds the job up, as far as its parents go.
  package func blocker(of job: Job, id: String) throws(SpoolError) -> Blocker? {
    for parent in job.after {
      switch parent {
      case .job(let parent):
        let standing = try standing(of: parent)
        if standing == .done || (standing == .dead && job.onParentDead == .run) { continue }
        return .job(parent, standing)
      case .batch(let name):
        let open = try openMembers(of: name).first { $0 != id }
        if let open { return .batch(name, member: open) }
        if try !hasSettledMember(name) { return .batch(name, member: nil) }
      }
    }
    return nil
  }

  package func standing(of id: String) throws(SpoolError) -> Standing {
    if let known = jobs[id] { return known }
    let standing: Standing
    switch try reader.spool.state(of: id) {
    case .done?: standing = .done
    case .dead?: standing = .dead
    case let state?: standing = .open(state)
    case nil:
      switch try AuditReader.traces(of: [id], in: reader.spool)[id]?.settle?["to"]?.string {
      case "done": standing = .done
      case "dead": standing = .dead
      default: standing = .unknown
      }
    }
    jobs[id] = standing
    return standing
  }

  private func openMembers(of batch: String) throws(SpoolError) -> [String] {
    if let members { return members[batch] ?? [] }
    var found: [String: [String]] = [:]
    for state in [JobState.new, .cur, .hold] {
      for id in try Scan.ids(in: state, of: reader.spool) {
        guard let name = try reader.file(id, in: state)?.job?.batch else { continue }
        found[name, default: []].append(id)
      }
    }
    members = found
    return found[batch] ?? []
  }

  private func hasSettledMember(_ batch: String) throws(SpoolError) -> Bool {
    if let known = settled[batch] { return known }
    var found = false
    for state in [JobState.done, .dead] where !found {
      for id in try Scan.ids(in: state, of: reader.spool) {
        guard try reader.file(id, in: state)?.job?.batch == batch else { continue }
        found = true
        break
      }
    }
    settled[batch] = found
    return found
  }
}
