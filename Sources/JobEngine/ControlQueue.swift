/// Requests found in `ctl/`, where every producer may put any number of files. They are carried out a few milliseconds at a
/// time, so that jobs have their turns in between, operators' before all others; and a folder that takes long to list is
/// listed the more seldom. What is not remembered here still lies there for the next look.
internal import JobModel
internal import SpoolStore

struct ControlQueue {
  fileprivate var names: ArraySlice<String> = []
  /// More lay in the folder than is remembered.
  fileprivate var isCut = false
  /// Not before then is the folder looked at again.
  var nextScan = Duration.zero
  var isScheduled = false
}

extension Engine {
  /// Takes what a look into `ctl/`, begun at that time, has found.
  func queue(_ names: [String], since began: Duration) {
    var own: [String] = []
    var others: [String] = []
    var operators: [UInt32: Bool] = [:]
    for name in names {
      guard let uid = try? spool.syscalls.status(spool.descriptor(Spool.Folder.ctl), name).uid else { continue }
      let isOperator = operators[uid] ?? accounts.isOperator(uid)
      operators[uid] = isOperator
      if isOperator { own.append(name) } else { others.append(name) }
    }
    controlQueue.isCut = others.count > Limits.requestsQueued
    controlQueue.names = (own.sorted() + others.prefix(Limits.requestsQueued).sorted())[...]
    let took = EventLoop.now - began
    // Of a folder that somebody fills, a tenth of the time at most goes into looking.
    controlQueue.nextScan = took > .milliseconds(Limits.requestsMilliseconds) ? EventLoop.now + took * 9 : .zero
  }

  /// Carries out requests for a little while; the rest follows with the next turns.
  func takeRequests() {
    guard !controlQueue.names.isEmpty else { return }
    let end = EventLoop.now + .milliseconds(Limits.requestsMilliseconds)
    repeat { takeRequest(controlQueue.names.removeFirst()) } while !controlQueue.names.isEmpty && EventLoop.now < end
    if !controlQueue.names.isEmpty {
      turnSoon()
    } else if controlQueue.isCut {
      controlQueue.isCut = false
      controlIsDue = true
      turnSoon()
    }
  }
}
