/// What an attempt's end means for its job: one pure function.

/// How a handler's process ended.
package enum HandlerEnding: Sendable, Equatable {
  case exited(Int32)
  case signalled(Int32)
  /// The daemon that ran it is gone; found by recovery.
  case crashed
}

/// Why a job or an attempt failed, as data.
package struct JobError: Error, Sendable, Equatable {
  package var code: String
  package var message: String
  /// JSON text.
  package var details: [UInt8]?
  package init(code: String, message: String, details: [UInt8]? = nil) {
    self.code = code
    self.message = message
    self.details = details
  }
}
