/// A job to submit. Only the type is needed; everything else is as in a job file.
public struct NewJob: Sendable {
  /// Which handler runs it.
  public var type: String
  /// JSON text; it is kept byte for byte.
  public var payload: String?
  /// Its id, and with it its idempotency key: an id is accepted once. A new one is made when there is none.
  public var id: String?
  /// Makes the id from the type and this key, as `--unique` of the command line does.
  public var uniqueKey: String?
  /// 0 is first, 9 last; 5 when none is given.
  public var priority: Int?
  /// Not before this long after it was submitted.
  public var delay: Duration?
  /// Ids, or `batch:NAME`, that have to be done first.
  public var after: [String] = []
  /// A name it shares with others.
  public var batch: String?
  /// Words to find it by.
  public var tags: [String] = []
  /// A JSON object to find it by.
  public var meta: String?
  /// How often it may be tried, in place of the handler's number.
  public var maxAttempts: Int?

  public init(_ type: String, payload: String? = nil, id: String? = nil) {
    self.type = type
    self.payload = payload
    self.id = id
  }
}
