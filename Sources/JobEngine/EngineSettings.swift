package import JobModel
package import JobSchema
package import JobSecrets

/// The configuration as the engine uses it.
package struct EngineSettings: Sendable, Equatable {
  package var daemon: DaemonSettings
  package var handlers: [String: HandlerSettings]
  /// Types whose handler file does not load, with the reason.
  package var broken: [String: String]
  /// What payloads have to look like, by type.
  package var schemas: [String: PayloadSchema] = [:]
  /// What `encrypt` of the handlers seals, and the key; nil: nothing.
  package var secrets: Secrets?
  /// Where handler files lie; empty: nowhere.
  package var handlersFolder: String
  package var schedules: [String: ScheduleSettings]
  /// Schedules whose file does not load, with the reason.
  package var brokenSchedules: [String: String]

  package init(
    daemon: DaemonSettings, handlers: [String: HandlerSettings], broken: [String: String] = [:],
    handlersFolder: String = "", schedules: [String: ScheduleSettings] = [:], brokenSchedules: [String: String] = [:]
  ) {
    self.daemon = daemon
    self.handlers = handlers
    self.broken = broken
    self.handlersFolder = handlersFolder
    self.schedules = schedules
    self.brokenSchedules = brokenSchedules
  }
}
