/// Which job is next. A value without clock, disk or threads: the engine tells it what happened and asks what may start.
///
/// It knows the waiting jobs by name, type, priority and time, and counts what runs. A job is picked when it is due, its
/// type is neither paused nor at its limit, and the sum is below `maxJobs`: lowest priority number first, then the one
/// that has waited longest. A limited type never holds up another: each has its own queue.
///
/// Jobs that only have to be judged (unreadable, unknown type, expired, twins) wait in a line of their own that no limit
/// holds up.
///
/// Memory matters: a million jobs may wait. A job costs its name, 12 bytes for it in the table, a slot of 24 bytes and a
/// place in one heap. Removal only marks the slot; it is used again once its heap has let go of it.
package struct Agenda {
  /// A type by number; stable while the agenda lives.
  package typealias TypeNumber = Int

  /// What runs now and may run.
  package struct TypeStatus: Sendable, Equatable {
    package var name: String
    package var concurrency = 1
    package var isPaused = false
    /// Why it cannot run at all, such as a handler file that does not load.
    package var broken: String?
    package var running = 0
    package var waiting = 0
    /// Of those, how many are not due yet.
    package var scheduled = 0
  }

  package struct Pick: Sendable, Equatable {
    package var id: String
    package var type: TypeNumber
  }

  /// One waiting job as the agenda sees it.
  package struct Waiting: Sendable, Equatable {
    package var id: String
    package var type: String
    package var priority: UInt8
    package var due: WallTime
  }

  private struct Slot {
    /// Microseconds; since when it could run, which is also its place in line.
    var due: Int64 = 0
    var type: UInt16 = 0
    var priority: UInt8 = 0
    var phase = Phase.free
  }

  private enum Phase: UInt8 {
    case free, scheduled, ready, judging
    /// Removed, but a heap still points here.
    case removed
  }

  package var maxJobs: Int
  /// Nothing is picked at all: paused by an operator, or no space on the disk.
  package var isPaused = false
  package private(set) var running = 0
  package private(set) var types: [TypeStatus] = []

  private var numbers: [String: Int] = [:]
  private var names = NameTable()
  private var slots: [Slot] = []
  private var readyHeaps: [[UInt32]] = []
  private var timers: [UInt32] = []
  private var judging: [UInt32] = []
  private var judged = 0

  package init(maxJobs: Int) { self.maxJobs = maxJobs }

  // MARK: Types

  /// The number of a type; known from now on.
  package mutating func number(of type: String) -> TypeNumber {
    if let known = numbers[type] { return known }
    let number = types.count
    numbers[type] = number
    types.append(TypeStatus(name: type))
    readyHeaps.append([])
    return number
  }

  package mutating func configure(_ type: String, concurrency: Int, broken: String?) {
    let number = number(of: type)
    types[number].concurrency = concurrency
    types[number].broken = broken
  }

  package mutating func pause(_ type: String, _ paused: Bool) { types[number(of: type)].isPaused = paused }

  package mutating func markBroken(_ type: String, _ reason: String?) { types[number(of: type)].broken = reason }

  // MARK: Waiting jobs

  package func contains(_ id: String) -> Bool { names.slot(of: id) != nil }

  /// The ids of all waiting jobs, in no order.
  package var ids: [String] {
    slots.indices.compactMap { slot in
      switch slots[slot].phase {
      case .free, .removed: nil
      case .scheduled, .ready, .judging: names.name(slot)
      }
    }
  }

  /// How many slots were ever needed at once; a test keeps an eye on it.
  var slotCount: Int { slots.count }

  /// How many wait, those to be judged included.
  package var count: Int { names.count }

  /// Adds a job, or moves the one of that id.
  package mutating func insert(_ id: String, type: String, priority: UInt8, due: WallTime, now: WallTime) {
    let slot = makeSlot(id)
    let number = number(of: type)
    slots[slot] = Slot(
      due: due.microseconds, type: UInt16(truncatingIfNeeded: number), priority: priority,
      phase: due > now ? .scheduled : .ready)
    types[number].waiting += 1
    if due > now {
      types[number].scheduled += 1
      Agenda.push(slot, onto: &timers, slots) { $0.due < $1.due }
    } else {
      Agenda.push(slot, onto: &readyHeaps[number], slots, Agenda.isEarlier)
    }
  }

  /// Adds a job that must be claimed to be judged, at once and beside all limits.
  package mutating func insertForJudgement(_ id: String) {
    let slot = makeSlot(id)
    slots[slot] = Slot(phase: .judging)
    judging.append(UInt32(slot))
  }

  /// Forgets a waiting job; false when it was not known.
  @discardableResult
  package mutating func remove(_ id: String) -> Bool {
    guard let slot = names.slot(of: id) else { return false }
    forget(slot)
    slots[slot].phase = .removed
    return true
  }

  package func waiting(_ id: String) -> Waiting? {
    guard let slot = names.slot(of: id), slots[slot].phase != .judging else { return nil }
    return Waiting(
      id: id, type: types[Int(slots[slot].type)].name, priority: slots[slot].priority,
      due: WallTime(microseconds: slots[slot].due))
  }

  // MARK: Picking

  /// The next job to be judged. It is not waiting any more.
  package mutating func nextForJudgement() -> String? {
    while judged < judging.count {
      let slot = Int(judging[judged])
      judged += 1
      if judged == judging.count {
        judging.removeAll(keepingCapacity: judging.count < 4096)
        judged = 0
      }
      guard release(slot, ifRemoved: .judging) else { continue }
      let id = names.name(slot)
      forget(slot)
      slots[slot].phase = .free
      names.recycle(slot)
      return id
    }
    return nil
  }

  /// The next job that may start now. It counts as running until `ended`.
  package mutating func next(now: WallTime) -> Pick? {
    promote(now: now)
    guard !isPaused, running < maxJobs else { return nil }
    var best: (number: Int, slot: Int)?
    for number in types.indices {
      let type = types[number]
      guard type.running < type.concurrency, !type.isPaused, type.broken == nil, let slot = top(of: number) else {
        continue
      }
      if let found = best, !Agenda.isEarlier(slots[slot], slots[found.slot]) { continue }
      best = (number, slot)
    }
    guard let best else { return nil }
    let id = names.name(best.slot)
    popReady(best.number)
    forget(best.slot)
    slots[best.slot].phase = .free
    names.recycle(best.slot)
    types[best.number].running += 1
    running += 1
    return Pick(id: id, type: best.number)
  }

  /// A picked job's handler has ended, or it was never started.
  package mutating func ended(_ type: TypeNumber) {
    types[type].running -= 1
    running -= 1
  }

  /// When `next` may have something that it has not now; nil: only an event can change it.
  package mutating func nextDue() -> WallTime? {
    while let first = timers.first {
      guard release(Int(first), ifRemoved: .scheduled) else {
        popTimer()
        continue
      }
      return WallTime(microseconds: slots[Int(first)].due)
    }
    return nil
  }

  // MARK: Inside

  private static func isEarlier(_ left: Slot, _ right: Slot) -> Bool {
    (left.priority, left.due) < (right.priority, right.due)
  }

  private mutating func makeSlot(_ id: String) -> Int {
    if names.slot(of: id) != nil { remove(id) }
    let slot = names.insert(id)
    if slot == slots.count { slots.append(Slot()) }
    return slot
  }

  /// Takes the job out of the names and counts; its slot stays reserved.
  private mutating func forget(_ slot: Int) {
    let phase = slots[slot].phase
    if phase == .ready || phase == .scheduled {
      let number = Int(slots[slot].type)
      types[number].waiting -= 1
      if phase == .scheduled { types[number].scheduled -= 1 }
    }
    names.remove(slot: slot)
  }

  /// For a heap that holds `slot` at its end: true when the job is still there, otherwise frees the slot.
  private mutating func release(_ slot: Int, ifRemoved expected: Phase) -> Bool {
    if slots[slot].phase == expected { return true }
    if slots[slot].phase == .removed {
      slots[slot].phase = .free
      names.recycle(slot)
    }
    return false
  }

  /// Moves what has become due into its type's line.
  private mutating func promote(now: WallTime) {
    while let due = nextDue(), due <= now {
      guard let first = timers.first else { return }
      let slot = Int(first)
      popTimer()
      slots[slot].phase = .ready
      let number = Int(slots[slot].type)
      types[number].scheduled -= 1
      Agenda.push(slot, onto: &readyHeaps[number], slots, Agenda.isEarlier)
    }
  }

  private mutating func top(of number: Int) -> Int? {
    while let first = readyHeaps[number].first {
      if release(Int(first), ifRemoved: .ready) { return Int(first) }
      popReady(number)
    }
    return nil
  }

  private mutating func popTimer() { Agenda.pop(from: &timers, slots) { $0.due < $1.due } }

  private mutating func popReady(_ number: Int) { Agenda.pop(from: &readyHeaps[number], slots, Agenda.isEarlier) }

  // A binary heap of slot numbers. swift-collections' Heap would need the key beside each number: 16 bytes instead of 4.

  private static func push(
    _ slot: Int, onto heap: inout [UInt32], _ slots: [Slot], _ isBefore: (Slot, Slot) -> Bool
  ) {
    heap.append(UInt32(slot))
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard isBefore(slots[Int(heap[child])], slots[Int(heap[parent])]) else { return }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  private static func pop(from heap: inout [UInt32], _ slots: [Slot], _ isBefore: (Slot, Slot) -> Bool) {
    guard let last = heap.popLast(), !heap.isEmpty else { return }
    heap[0] = last
    var parent = 0
    while true {
      var smallest = parent
      for child in 2 * parent + 1...2 * parent + 2 where child < heap.count {
        if isBefore(slots[Int(heap[child])], slots[Int(heap[smallest])]) { smallest = child }
      }
      guard smallest != parent else { return }
      heap.swapAt(parent, smallest)
      parent = smallest
    }
  }
}
