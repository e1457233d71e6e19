/// Switches turned by a request: `pause`, `resume`, `disable` and `enable`. What counts is still the file in `ctl/`, so it holds
/// across restarts; the daemon makes it or takes it away itself, for who could not, and the log says who asked.
internal import Glibc
internal import JobModel
internal import SpoolStore

extension Engine {
  static let switchVerbs = ["pause", "resume", "disable", "enable"]

  /// `{"do":"pause","all":true}`, `{"do":"pause","types":["mail"]}`, `{"do":"pause","schedules":true}`,
  /// `{"do":"disable","jobs":["nightly"]}`; answered once it holds.
  func turnSwitches(_ verb: String, _ name: String, _ request: JSONValue, who: String) {
    let isOn = verb == "pause" || verb == "disable"
    var files: [String] = []
    if verb == "pause" || verb == "resume" {
      if request["all"]?.bool == true { files.append("pause") }
      if request["schedules"]?.bool == true { files.append("pause-schedules") }
      for type in request["types"]?.array ?? [] {
        guard let type = type.string, JobType.isValid(type) else {
          return answer(
            name, refusal: SpoolError(.badJob, "\"types\": expected \(JobType.expected)"), code: "bad_request")
        }
        files.append("pause.\(type)")
      }
    } else {
      for schedule in request["jobs"]?.array ?? [] {
        guard let schedule = schedule.string,
          schedules.states[schedule] != nil || settings.brokenSchedules[schedule] != nil
        else {
          return answer(
            name, refusal: SpoolError(.noSuchJob, "there is no such schedule"), code: SpoolError.Code.noSuchJob.name)
        }
        files.append("disabled.\(schedule)")
      }
    }
    guard !files.isEmpty else {
      return answer(
        name, refusal: SpoolError(.system, "say what: \"all\", \"schedules\", \"types\" or \"jobs\""),
        code: "bad_request")
    }
    do throws(SpoolError) {
      for file in files {
        switchActors[file] = who
        try Control(spool).turn(file, on: isOn)
      }
    } catch {
      switchActors.removeAll()
      return answer(name, refusal: error, code: error.code.name)
    }
    readSwitchesAgain()
    switchActors.removeAll()
    // The files are durable; the line follows as soon as the disk takes it.
    do throws(SpoolError) { try transitions.audit.commit(closing: !isCommitting) } catch { troubled(error) }
    status.touch()
    turnSoon()
    answer(ControlRequest(name: name))
  }
}
