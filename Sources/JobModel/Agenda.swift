/// Which job is next. A value without clock, disk or threads: the engine tells it what happened and asks what may start.
///
/// It knows the waiting jobs by name, type, priority and time, and counts what runs. A job is picked when it is due, its
/// type is neither paused nor at its limit, its pool has room, no job of the same `serial_by` value runs, its rate allows
/// it, and the sum is below `maxJobs`: lowest priority number first, then the one that has waited longest. A limited type
/// never holds up another, nor a limited value another of its type: each has its own queue.
///
/// Jobs that only have to be judged (unreadable, unknown type, expired, twins) wait in a line of their own that no limit
/// holds up.
///
/// Memory matters: a million jobs may wait. A job costs its name, 12 bytes for it in the table, a slot of 32 bytes and a
/// place in one heap. Removal only marks the slot; it is used again once its heap has let go of it.
package struct Agenda {
  /// A type by number; stable while the agenda lives.
  package typealias TypeNumber = Int

  /// What runs now and may run.
  package struct TypeStatus: Sendable, Equatable {
    package var name: String
    package var concurrency = 1
    package var pool: PoolNumber?
    package var isPaused = false
    package var circuit = CircuitBreaker()
    /// Why it cannot run at all, such as a handler file that does not load.
    package var broken: String?
    package var running = 0
    package var waiting = 0
    /// Of those, how many are not due yet.
    package var scheduled = 0
    /// Of those, how many wait for other jobs.
    package var blocked = 0
    /// Runs beside `maxJobs` and though all else is paused: the program's own notices, which are due just when every place
    /// is taken or the disk is full.
    package var isBeside = false
  }

  package typealias PoolNumber = Int

  /// Several types that share a limit.
  package struct PoolStatus: Sendable, Equatable {
    package var name: String
    package var concurrency: Int
    package var running = 0
  }

  /// The values a job's limits go by.
  package struct Keys: Sendable, Equatable {
    /// `serial_by`; nil: the type has none.
    package var serial: UInt64?
    /// `rate.by`, when the type's rate makes jobs wait.
    package var rate: UInt64?
    package init(serial: UInt64? = nil, rate: UInt64? = nil) {
      self.serial = serial
      self.rate = rate
    }
    package static let none = Keys()
  }

  package struct Pick: Sendable, Equatable {
    package var id: String
    package var type: TypeNumber
    package var keys: Keys
    /// When it came into `new/`.
    package var firstSeen: WallTime
    /// Since when it could run, had no limit held it back.
    package var readySince: WallTime
    /// As what its rate counts it.
    package var pickedAt: WallTime
    /// The one job by which a type that rests is tried.
    package var isTried = false
    /// Taken from the checkpoint: its file has not been looked at yet.
    package var isRestored = false
  }

  /// One waiting job as the agenda sees it.
  package struct Waiting: Sendable, Equatable {
    package var id: String
    package var type: String
    package var priority: UInt8
    package var due: WallTime
  }

  struct Slot {
    /// Microseconds; its place in line: since when it could run, had no rate held it back.
    var line: Int64 = 0
    /// When to look at it again.
    var due: Int64 = 0
    var firstSeen: Int64 = 0
    /// The file's inode, its last 32 bits; 0: nobody told.
    var inode: UInt32 = 0
    var type: UInt16 = 0
    var marks: UInt8 = 0
    var phase = Phase.free

    var priority: UInt8 { marks & 15 }
    /// The scan that saw it last, by turns true and false.
    static let seen: UInt8 = 0x80
    /// Known from the checkpoint; its file was not looked at in this life.
    static let restored: UInt8 = 0x40
    /// The checkpoint does not hold all that is to be known of it.
    static let mustBeLookedAt: UInt8 = 0x20
  }

  enum Phase: UInt8 {
    case free, scheduled, ready, judging
    /// Due, but a job of the same `serial_by` value runs.
    case parked
    /// Due, but its rate allows no start now.
    case rated
    /// Waits for other jobs (`Flows`).
    case blocked
    /// Removed, but a heap still points here.
    case removed
  }

  package var maxJobs: Int
  /// Nothing is picked at all: paused by an operator, or no space on the disk.
  package var isPaused = false
  package private(set) var running = 0
  package internal(set) var types: [TypeStatus] = []

  var numbers: [String: Int] = [:]
  var names: NameTable
  var slots: [Slot] = []
  /// What the scan under way, or the last one, marks.
  var seen: UInt8 = 0
  var readyHeaps: [[UInt32]] = []
  private var timers: [UInt32] = []
  package internal(set) var pools: [PoolStatus] = []
  /// Keys of the jobs that have any.
  var keys: [UInt32: Keys] = [:]
  /// Values that run, or whose job has not come to rest yet.
  private var busy: Set<ValueKey> = []
  private var parked: [ValueKey: [UInt32]] = [:]
  /// By type number, where the type has a rate that makes jobs wait.
  var rates: [Int: RateWindow] = [:]
  /// Jobs whose rate allows no start now, by its value. One at a time goes back into its type's line, so that a start
  /// costs the same however many wait; who left the line lets the next in (`wakes`).
  private var rated: [ValueKey: [UInt32]] = [:]
  var wakes = Deadlines<ValueKey>()
  /// When `next` was asked last: what was possible then is not worth another look.
  var asked = WallTime(microseconds: .min)

  struct ValueKey: Hashable {
    var type: Int
    var value: UInt64
  }
  private var judging: [UInt32] = []
  private var judged = 0

  /// - Parameter seed: known to no producer.
  package init(maxJobs: Int, seed: UInt64 = 0) {
    self.maxJobs = maxJobs
    names = NameTable(seed: seed)
  }

  // MARK: Waiting jobs

  package func contains(_ id: String) -> Bool { names.slot(of: id) != nil }

  /// The ids of all waiting jobs, in no order.
  package var ids: [String] {
    slots.indices.compactMap { slot in
      switch slots[slot].phase {
      case .free, .removed: nil
      case .scheduled, .ready, .judging, .parked, .rated, .blocked: names.name(slot)
      }
    }
  }

  /// The ids of those that are not due yet, in no order.
  package var scheduledIDs: [String] {
    slots.indices.compactMap { slots[$0].phase == .scheduled ? names.name($0) : nil }
  }

  /// Whether jobs stand in line behind others of their type that run.
  package var hasLine: Bool {
    types.indices.contains { types[$0].running > 0 && !types[$0].isPaused && !readyHeaps[$0].isEmpty }
  }

  /// How many a type's line holds; a test keeps an eye on what a pick moves.
  func lineLength(_ type: TypeNumber) -> Int { readyHeaps[type].count }

  func isInLine(_ id: String) -> Bool { names.slot(of: id).map { slots[$0].phase == .ready } ?? false }

  /// How many slots were ever needed at once; a test keeps an eye on it.
  var slotCount: Int { slots.count }

  /// How many wait, those to be judged included.
  package var count: Int { names.count }

  /// Adds a job, or moves the one of that id.
  ///
  /// - Parameters:
  ///   - inode: of its file.
  ///   - hasMore: there is more to know of it than a checkpoint holds.
  package mutating func insert(
    _ id: String, type: String, priority: UInt8, due: WallTime, firstSeen: WallTime? = nil, keys: Keys = .none,
    inode: UInt64 = 0, hasMore: Bool = false, now: WallTime
  ) {
    let slot = makeSlot(id)
    if keys != .none { self.keys[UInt32(slot)] = keys }
    enter(
      slot,
      Slot(
        line: due.microseconds, due: due.microseconds, firstSeen: (firstSeen ?? due).microseconds,
        inode: UInt32(truncatingIfNeeded: inode), type: UInt16(truncatingIfNeeded: number(of: type)),
        marks: priority | seen | (hasMore ? Slot.mustBeLookedAt : 0), phase: due > now ? .scheduled : .ready))
  }

  mutating func enter(_ slot: Int, _ entry: Slot) {
    let number = Int(entry.type)
    slots[slot] = entry
    types[number].waiting += 1
    if entry.phase == .scheduled {
      types[number].scheduled += 1
      SlotHeap.push(slot, onto: &timers, slots) { $0.due < $1.due }
    } else {
      SlotHeap.push(slot, onto: &readyHeaps[number], slots, Agenda.isEarlier)
    }
  }

  /// Adds a job that waits for others; it is known, and nothing more, until it is inserted again.
  package mutating func insertBlocked(_ id: String, type: String) {
    let slot = makeSlot(id)
    let number = number(of: type)
    slots[slot] = Slot(type: UInt16(truncatingIfNeeded: number), marks: seen, phase: .blocked)
    types[number].waiting += 1
    types[number].blocked += 1
  }

  /// Adds a job that must be claimed to be judged, at once and beside all limits.
  package mutating func insertForJudgement(_ id: String) {
    let slot = makeSlot(id)
    slots[slot] = Slot(marks: seen, phase: .judging)
    judging.append(UInt32(slot))
  }

  /// Forgets a waiting job; false when it was not known.
  @discardableResult
  package mutating func remove(_ id: String) -> Bool {
    guard let slot = names.slot(of: id) else { return false }
    let isBlocked = slots[slot].phase == .blocked
    forget(slot)
    slots[slot].phase = isBlocked ? .free : .removed
    if isBlocked { names.recycle(slot) }
    return true
  }

  /// When a waiting job came into `new/`; the end of time for one that waits for others, of which that is not kept.
  package func firstSeen(_ id: String) -> WallTime? {
    guard let slot = names.slot(of: id) else { return nil }
    switch slots[slot].phase {
    case .scheduled, .ready, .parked, .rated: return WallTime(microseconds: slots[slot].firstSeen)
    case .blocked: return .latest
    case .free, .judging, .removed: return nil
    }
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

  /// The next job that may start now. It counts as running until `ended`, its serial value until `rested`.
  package mutating func next(now: WallTime) -> Pick? {
    asked = now
    promote(now: now)
    let isOpen = !isPaused && running < maxJobs
    guard isOpen || hasBeside else { return nil }
    var best: (number: Int, slot: Int)?
    for number in types.indices {
      guard isOpen || types[number].isBeside, mayStart(number, now: now), let slot = top(of: number, now: now) else {
        continue
      }
      if let found = best, !Agenda.isEarlier(slots[slot], slots[found.slot]) { continue }
      best = (number, slot)
    }
    guard let best else { return nil }
    let id = names.name(best.slot)
    let slot = slots[best.slot]
    let keys = self.keys[UInt32(best.slot)] ?? .none
    popReady(best.number)
    if let value = keys.serial { busy.insert(ValueKey(type: best.number, value: value)) }
    forget(best.slot)
    slots[best.slot].phase = .free
    names.recycle(best.slot)
    types[best.number].running += 1
    let isTried = types[best.number].circuit.started()
    if let pool = types[best.number].pool { pools[pool].running += 1 }
    if !types[best.number].isBeside { running += 1 }
    if let key = keys.rate { rates[best.number]?.count(key, at: now) }
    return Pick(
      id: id, type: best.number, keys: keys, firstSeen: WallTime(microseconds: slot.firstSeen),
      readySince: WallTime(microseconds: slot.line), pickedAt: now, isTried: isTried,
      isRestored: slot.marks & Slot.restored != 0)
  }

  private var hasBeside: Bool { types.contains { $0.isBeside && $0.waiting > $0.scheduled } }

  private func mayStart(_ number: Int, now: WallTime) -> Bool {
    let type = types[number]
    guard type.running < type.concurrency, !type.isPaused, type.broken == nil else { return false }
    if let pool = type.pool, pools[pool].running >= pools[pool].concurrency { return false }
    return type.circuit.allowsStart(now: now)
  }

  /// A picked job's handler has ended, or it was never started.
  package mutating func ended(_ type: TypeNumber) {
    types[type].running -= 1
    if let pool = types[type].pool { pools[pool].running -= 1 }
    if !types[type].isBeside { running -= 1 }
  }

  /// A job with this serial value has come to rest: the next of its value may be picked.
  package mutating func rested(_ type: TypeNumber, serial value: UInt64) {
    let key = ValueKey(type: type, value: value)
    busy.remove(key)
    admitParked(key)
  }

  /// Lets the first of those whom a serial value held back into their type's line, when no job of the value runs. Whoever
  /// leaves that line in another way than by a start has to let in the next.
  private mutating func admitParked(_ key: ValueKey) {
    guard !busy.contains(key) else { return }
    while var heap = parked.removeValue(forKey: key), let first = heap.first {
      SlotHeap.pop(from: &heap, slots, Agenda.isEarlier)
      if !heap.isEmpty { parked[key] = heap }
      let slot = Int(first)
      guard release(slot, ifRemoved: .parked) else { continue }
      slots[slot].phase = .ready
      SlotHeap.push(slot, onto: &readyHeaps[key.type], slots, Agenda.isEarlier)
      return
    }
  }

  /// Whether a job waits because another of its `serial_by` value runs.
  package func isParked(_ id: String) -> Bool {
    names.slot(of: id).map { slots[$0].phase == .parked } ?? false
  }

  /// When `next` may have something that it has not now; nil: only an event can change it.
  package mutating func nextDue() -> WallTime? {
    // A rest that is over and yet let nothing start is held up by something else, whose end is an event.
    let reopens = types.lazy.filter { $0.waiting > $0.scheduled + $0.blocked }.compactMap(\.circuit.reopens)
      .filter { [asked] in $0 > asked }.min()
    return [reopens, nextTimer(), wakes.next()].compactMap(\.self).min()
  }

  private mutating func nextTimer() -> WallTime? {
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
    (left.priority, left.line) < (right.priority, right.line)
  }

  private mutating func makeSlot(_ id: String) -> Int {
    if names.slot(of: id) != nil { remove(id) }
    let slot = names.insert(id)
    if slot == slots.count { slots.append(Slot()) }
    return slot
  }

  /// A slot for a name as the table keeps it; nil when it has one.
  mutating func addSlot(_ stored: UnsafeRawBufferPointer, _ length: UInt8) -> Int? {
    guard let slot = names.insert(stored: stored, length) else { return nil }
    if slot == slots.count { slots.append(Slot()) }
    return slot
  }

  /// Takes the job out of the names and counts; its slot stays reserved.
  private mutating func forget(_ slot: Int) {
    let phase = slots[slot].phase
    let number = Int(slots[slot].type)
    if let keys = keys.removeValue(forKey: UInt32(slot)), phase == .ready || phase == .parked {
      if let key = keys.rate { wake(ValueKey(type: number, value: key)) }
      if let value = keys.serial { admitParked(ValueKey(type: number, value: value)) }
    }
    switch phase {
    case .ready, .scheduled, .parked, .rated, .blocked:
      types[number].waiting -= 1
      if phase == .scheduled { types[number].scheduled -= 1 }
      if phase == .blocked { types[number].blocked -= 1 }
    case .free, .judging, .removed: break
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
    while let due = nextTimer(), due <= now {
      guard let first = timers.first else { return }
      let slot = Int(first)
      popTimer()
      slots[slot].phase = .ready
      let number = Int(slots[slot].type)
      types[number].scheduled -= 1
      SlotHeap.push(slot, onto: &readyHeaps[number], slots, Agenda.isEarlier)
    }
    while let key = wakes.take(now: now) { admitNext(key, now: now) }
  }

  /// Those whose rate held them back are looked at with the next pick.
  mutating func wake(_ key: ValueKey) {
    if rated[key] != nil { wakes.set(key, WallTime(seconds: 0)) }
  }

  /// The same for all values of a type.
  mutating func wakeAll(_ number: TypeNumber) {
    for key in rated.keys where key.type == number { wakes.set(key, WallTime(seconds: 0)) }
  }

  /// Lets the first of those whom a rate held back into their type's line, when it allows a start.
  private mutating func admitNext(_ key: ValueKey, now: WallTime) {
    if rated[key] != nil, let free = rates[key.type]?.next(key.value, now: now) { return wakes.set(key, free) }
    while var heap = rated.removeValue(forKey: key), let first = heap.first {
      SlotHeap.pop(from: &heap, slots, Agenda.isEarlier)
      if !heap.isEmpty { rated[key] = heap }
      let slot = Int(first)
      guard release(slot, ifRemoved: .rated) else { continue }
      slots[slot].phase = .ready
      SlotHeap.push(slot, onto: &readyHeaps[key.type], slots, Agenda.isEarlier)
      return
    }
  }

  /// The first of the type's line that its values allow. What they do not is parked, or waits for its rate.
  private mutating func top(of number: Int, now: WallTime) -> Int? {
    while let first = readyHeaps[number].first {
      let slot = Int(first)
      guard release(slot, ifRemoved: .ready) else {
        popReady(number)
        continue
      }
      guard let keys = keys[first] else { return slot }
      if let value = keys.serial, busy.contains(ValueKey(type: number, value: value)) {
        popReady(number)
        slots[slot].phase = .parked
        SlotHeap.push(
          slot, onto: &parked[ValueKey(type: number, value: value), default: []], slots, Agenda.isEarlier)
        if let key = keys.rate { admitNext(ValueKey(type: number, value: key), now: now) }
        continue
      }
      if let value = keys.rate, let free = rates[number]?.next(value, now: now) {
        let key = ValueKey(type: number, value: value)
        popReady(number)
        slots[slot].phase = .rated
        SlotHeap.push(slot, onto: &rated[key, default: []], slots, Agenda.isEarlier)
        wakes.set(key, free)
        if let value = keys.serial { admitParked(ValueKey(type: number, value: value)) }
        continue
      }
      return slot
    }
    return nil
  }

  private mutating func popTimer() { SlotHeap.pop(from: &timers, slots) { $0.due < $1.due } }

  private mutating func popReady(_ number: Int) { SlotHeap.pop(from: &readyHeaps[number], slots, Agenda.isEarlier) }
}
