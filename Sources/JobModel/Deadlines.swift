/// Moments at which somebody has to look at something again, the earliest first: one heap, and one timer for all of it,
/// however many there are. A value changed or taken away stays in the heap until its time comes or the heap is mostly
/// such; only what the table has counts.
package struct Deadlines<Key: Hashable & Sendable>: Sendable {
  private var times: [Key: WallTime] = [:]
  private var heap: [(time: WallTime, key: Key)] = []

  package init() {}

  package var count: Int { times.count }
  package var isEmpty: Bool { times.isEmpty }
  package subscript(key: Key) -> WallTime? { times[key] }
  package var keys: some Sequence<Key> { times.keys }

  /// Entries the heap holds, those that do not count included; a test keeps an eye on it.
  var entries: Int { heap.count }

  package mutating func set(_ key: Key, _ time: WallTime) {
    guard times[key] != time else { return }
    times[key] = time
    push((time, key))
    if heap.count > 2 * times.count + 1024 { compact() }
  }

  package mutating func remove(_ key: Key) { times[key] = nil }

  /// The earliest; entries that do not count any more are dropped on the way.
  package mutating func next() -> WallTime? {
    while let first = heap.first {
      if times[first.key] == first.time { return first.time }
      pop()
    }
    return nil
  }

  /// Takes one whose time has come; nil when there is none.
  package mutating func take(now: WallTime) -> Key? {
    guard let time = next(), time <= now, let key = heap.first?.key else { return nil }
    pop()
    times[key] = nil
    return key
  }

  /// Jobs that ran long before their time leave entries behind; they must not add up.
  private mutating func compact() {
    heap.removeAll(keepingCapacity: true)
    for (key, time) in times { push((time, key)) }
  }

  private mutating func push(_ entry: (time: WallTime, key: Key)) {
    heap.append(entry)
    var child = heap.count - 1
    while child > 0, heap[child].time < heap[(child - 1) / 2].time {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  private mutating func pop() {
    let last = heap.removeLast()
    guard !heap.isEmpty else { return }
    heap[0] = last
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].time < heap[least].time {
        least = child
      }
      guard least != parent else { return }
      heap.swapAt(parent, least)
      parent = least
    }
  }
}
