package import JobModel

/// The words a handler is started with: its command, and before it the small programs of util-linux and coreutils that
/// set limits and change the user. They replace themselves by exec, so the process keeps its pid, session and
/// descriptors, and this program needs no code between fork and exec.
///
/// Pure: finding the programs and the account is left to `ProgramLookup` and `Account`.
package enum HandlerCommand {
  /// - Parameters:
  ///   - program: absolute path of `command[0]`.
  ///   - account: whom to become; nil to stay who we are.
  ///   - tool: the absolute path of `nice`, `prlimit`, `setpriv`.
  package static func words(
    program: String, command: [String], limits: HandlerSettings.ProcessLimits, account: Account?,
    tool: (String) throws(ProgramLookup.Problem) -> String
  ) throws(ProgramLookup.Problem) -> [String] {
    var words: [String] = []
    // Order matters: a negative nice value and a raised limit need the rights that setpriv gives away.
    if let nice = limits.nice { words += [try tool("nice"), "-n", "\(nice)"] }
    let bounds = bounds(limits)
    if !bounds.isEmpty { words += [try tool("prlimit")] + bounds + ["--"] }
    if let account {
      words += [
        try tool("setpriv"), "--reuid=\(account.user)", "--regid=\(account.group)", "--init-groups",
        "--inh-caps=-all", "--ambient-caps=-all", "--",
      ]
    }
    // Without a prefix the program sees the name it was called by; execvp in a prefix wants the path.
    return words + [words.isEmpty ? command.first ?? program : program] + command.dropFirst()
  }

  /// prlimit(1) options. Memory is RLIMIT_DATA, what a process may write into privately: RLIMIT_AS counts mere
  /// reservations, with which Node, Go and Java would not even start below some gigabytes.
  private static func bounds(_ limits: HandlerSettings.ProcessLimits) -> [String] {
    var bounds: [String] = []
    if let memory = limits.memory { bounds.append("--data=\(memory)") }
    if let cpu = limits.cpu {
      // Whole seconds in the kernel, rounded up; 0 would mean at once.
      bounds.append("--cpu=\(max(1, (cpu.inMilliseconds + 999) / 1000))")
    }
    if let files = limits.files { bounds.append("--nofile=\(files)") }
    return bounds
  }
}
