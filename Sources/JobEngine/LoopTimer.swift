/// One-shot timers of the event loop, soonest first. Cancelling removes the entry at once: a daemon that starts two
/// thousand jobs a second, each with an hour's timeout, must not collect millions of cancelled ones.

/// A timer that was set; keep it to cancel it.
package final class LoopTimer {
  /// When it fires, by `EventLoop.now`.
  package let due: Duration
  /// Breaks ties: timers due at the same moment fire in the order they were set.
  fileprivate var order: UInt64 = 0
  /// Where it stands in the heap; -1 when it fired or was cancelled.
  fileprivate var position = -1
  private var body: (() -> Void)?

  init(due: Duration, _ body: @escaping () -> Void) {
    self.due = due
    self.body = body
  }

  /// Calls the body, unless the timer was cancelled meanwhile.
  func fire() {
    let body = body
    self.body = nil
    body?()
  }

  fileprivate func disarm() {
    position = -1
    body = nil
  }

  fileprivate func isBefore(_ other: LoopTimer) -> Bool {
    due != other.due ? due < other.due : order < other.order
  }
}

/// A binary heap whose entries know their place.
struct TimerHeap {
  private var entries: [LoopTimer] = []
  private var inserted: UInt64 = 0

  var first: LoopTimer? { entries.first }
  var count: Int { entries.count }

  mutating func insert(_ timer: LoopTimer) {
    inserted += 1
    timer.order = inserted
    timer.position = entries.count
    entries.append(timer)
    rise(timer.position)
  }

  /// Cancels: also a timer that was taken as due in this round but has not fired yet.
  mutating func remove(_ timer: LoopTimer) {
    if timer.position >= 0 { take(timer.position) }
    timer.disarm()
  }

  /// Takes out all that are due by `time`, in order.
  mutating func takeDue(_ time: Duration) -> [LoopTimer] {
    var due: [LoopTimer] = []
    while let first = entries.first, first.due <= time {
      take(0)
      due.append(first)
    }
    return due
  }

  private mutating func take(_ place: Int) {
    entries[place].position = -1
    let last = entries.removeLast()
    guard place < entries.count else { return }
    entries[place] = last
    last.position = place
    rise(place)
    sink(last.position)
  }

  private mutating func rise(_ start: Int) {
    var place = start
    while place > 0 {
      let parent = (place - 1) / 2
      guard entries[place].isBefore(entries[parent]) else { return }
      exchange(place, parent)
      place = parent
    }
  }

  private mutating func sink(_ start: Int) {
    var place = start
    while true {
      var smallest = place
      for child in [2 * place + 1, 2 * place + 2] where child < entries.count {
        if entries[child].isBefore(entries[smallest]) { smallest = child }
      }
      guard smallest != place else { return }
      exchange(place, smallest)
      place = smallest
    }
  }

  private mutating func exchange(_ left: Int, _ right: Int) {
    entries.swapAt(left, right)
    entries[left].position = left
    entries[right].position = right
  }
}
