/// Everything the configuration says, read in one go: `jobspool.toml`, `handlers/` and `schedules/` beside it.
///
/// Promises: all problems of all files at once, each with its file, line and key; a file that does not load takes
/// nothing else with it; nothing is read but regular files of at most 1 MiB. Whether to run with what was found, or to
/// keep what was there before, is the caller's decision (`errors`).
package import JobModel
package import JobSchema

package struct Configuration: Sendable, Equatable {
  /// jobspool.toml; with errors in it, what could be read, over the defaults.
  package var settings = DaemonSettings()
  package var handlers: [String: HandlerSettings] = [:]
  /// Types whose file does not load: paused with an alert, whereas a type without a file is unknown.
  package var brokenHandlers: [String: [ConfigProblem]] = [:]
  /// By type, for handlers with a `schema`.
  package var schemas: [String: PayloadSchema] = [:]
  package var schedules: [String: ScheduleSettings] = [:]
  package var brokenSchedules: [String: [ConfigProblem]] = [:]
  /// All of them, also those of `brokenHandlers` and `brokenSchedules`: by file, then line.
  package var problems: [ConfigProblem] = []
  /// The jobspool.toml in use; nil when there is none and all is default.
  package var file: String?
  /// Where `handlers/` and `schedules/` are.
  package var folder = ""
  /// Folders that exist in which an edit may appear.
  package var watchedFolders: [String] = []
  /// Files whose change, appearance or end changes the configuration, besides any `*.toml` in the watched folders.
  package var watchedFiles: [String] = []

  package init() {}

  package var errors: [ConfigProblem] { problems.filter { $0.severity == .error } }
  package var notes: [ConfigProblem] { problems.filter { $0.severity == .note } }

  /// Problems of jobspool.toml itself, with which a daemon does not start, nor reload.
  package var settingsErrors: [ConfigProblem] { errors.filter { $0.file == file } }

  /// Reads the configuration of a spool.
  ///
  /// - Parameters:
  ///   - spool: path of the spool.
  ///   - config: `--config`; that file must exist. nil: `SPOOL/jobspool.toml`, else `SYSTEM/jobspool.toml`, else
  ///     defaults, with `handlers/` and `schedules/` of the spool.
  ///   - system: where a system spool keeps its configuration.
  package static func load(spool: String, config: String?, system: String = "/etc/jobspool") -> Configuration {
    var loader = ConfigurationLoader()
    loader.load(spool: spool, config: config, system: system)
    return loader.result
  }
}
