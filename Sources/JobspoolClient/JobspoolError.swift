/// What went wrong, and what to do about it.
public struct JobspoolError: Error, Sendable, CustomStringConvertible {
  /// The kind of trouble. More may be added, so a `switch` needs a default.
  public struct Code: Sendable, Hashable, CustomStringConvertible {
    public let description: String

    /// The folder is no spool.
    public static let noSpool = Code(description: "no_spool")
    /// The configuration of the spool does not load, or what has to be sealed cannot be.
    public static let configuration = Code(description: "configuration")
    /// The job is not one the daemon would take: its text, its type, its payload.
    public static let badJob = Code(description: "bad_job")
    /// The id has a job already: it was submitted before.
    public static let exists = Code(description: "exists")
    /// No folder has a job of this id.
    public static let noSuchJob = Code(description: "no_such_job")
    /// The disk is full or nearly so; later it may have room.
    public static let noSpace = Code(description: "no_space")
    /// This user may not.
    public static let denied = Code(description: "denied")
    /// It had not ended when the time was over.
    public static let timeout = Code(description: "timeout")
    /// The system refused a call that should have worked.
    public static let system = Code(description: "system")
  }

  public var code: Code
  public var message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { message }
}
