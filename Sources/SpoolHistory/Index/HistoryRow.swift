/// One job in the index: 64 bytes, one line of the processor's cache, and its texts in an arena.
internal import JobModel

/// Where a job is and how it ended, in one small number, so that any set of them is a 16-bit mask.
enum Standing: UInt8, CaseIterable {
  /// No such job any more; the row is used again.
  case gone
  case new, cur, hold, done
  /// In `dead/`, nobody knows why.
  case dead
  case failed, rejected, expired, cancelled, duplicate, rateLimited

  init(_ state: JobState, _ outcome: JobOutcome? = nil) {
    switch state {
    case .new: self = .new
    case .cur: self = .cur
    case .hold: self = .hold
    case .done: self = .done
    case .dead:
      switch outcome {
      case .failed: self = .failed
      case .rejected: self = .rejected
      case .expired: self = .expired
      case .cancelled: self = .cancelled
      case .duplicate: self = .duplicate
      case .rateLimited: self = .rateLimited
      case .done, nil: self = .dead
      }
    }
  }

  /// nil: gone.
  var state: JobState? {
    switch self {
    case .gone: nil
    case .new: .new
    case .cur: .cur
    case .hold: .hold
    case .done: .done
    default: .dead
    }
  }

  var outcome: JobOutcome? {
    switch self {
    case .done: .done
    case .failed: .failed
    case .rejected: .rejected
    case .expired: .expired
    case .cancelled: .cancelled
    case .duplicate: .duplicate
    case .rateLimited: .rateLimited
    default: nil
    }
  }

  var mask: UInt16 { 1 << UInt16(rawValue) }
  var hasEnded: Bool { rawValue >= Standing.done.rawValue }
  static let allOfDead: UInt16 = (Standing.dead.rawValue...Standing.rateLimited.rawValue).reduce(0) {
    $0 | 1 << UInt16($1)
  }
  static let all: UInt16 = (Standing.new.rawValue...Standing.rateLimited.rawValue).reduce(0) { $0 | 1 << UInt16($1) }
}

struct HistoryRow {
  /// Microseconds of the last change of state, and of the arrival.
  var updated: Int64 = 0
  var submitted: Int64 = 0
  /// In the arena.
  var id: UInt32 = 0
  var meta: UInt32 = 0
  /// The batch's name, then the parent's.
  var kin: UInt32 = 0
  /// The number of the line that changed the state last; 0: no line did.
  var sequence: UInt32 = 0
  /// Interned.
  var tags: UInt32 = 0
  var submitter: UInt32 = 0
  var error: UInt32 = 0
  /// Milliseconds that the last attempt ran and waited; of a waiting job both together are when it is due, microseconds.
  var run: UInt32 = 0
  var wait: UInt32 = 0
  var type: UInt16 = 0
  var attempt: UInt16 = 0
  var metaLength: UInt16 = 0
  var idLength: UInt8 = 0
  var batchLength: UInt8 = 0
  var parentLength: UInt8 = 0
  var standing = Standing.gone
  var priority: UInt8 = 5
  /// Low bits: `Flag`; the upper four: which node's log `sequence` counts in.
  var bits: UInt8 = 0

  enum Flag {
    /// What its producer wrote of it is known: type, tags, meta and so on.
    static let described: UInt8 = 1
    /// It names other jobs in `after`.
    static let hasParents: UInt8 = 2
    /// Its file has been looked at for what the log does not hold.
    static let looked: UInt8 = 4
    /// How long it waited is known.
    static let waited: UInt8 = 8
  }

  func has(_ flag: UInt8) -> Bool { bits & flag != 0 }
  mutating func set(_ flag: UInt8, _ on: Bool = true) { if on { bits |= flag } else { bits &= ~flag } }

  var node: UInt8 {
    get { bits >> 4 }
    set { bits = bits & 15 | newValue << 4 }
  }

  var due: Int64 {
    get { Int64(run) << 32 | Int64(wait) }
    set {
      run = UInt32(truncatingIfNeeded: newValue >> 32)
      wait = UInt32(truncatingIfNeeded: newValue)
    }
  }
}
