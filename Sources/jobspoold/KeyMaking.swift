/// `--make-keys`: what an installer runs as root, where the daemon itself may not write beside its configuration.
internal import JobSecrets
internal import SpoolConfig

enum KeyMaking {
  static func run(spool: String, config: String?) throws(Failure) {
    let folder = Configuration.load(spool: spool, config: config).folder
    do throws(SecretProblem) { _ = try DataKey.prepare(in: folder, environment: nil) } catch {
      throw Failure(exit: 71, message: error.message)
    }
  }
}
