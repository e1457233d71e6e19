/// What the agenda knows of types: their limits, pools and rates, and how their runs ended.
extension Agenda {
  /// The number of a type; known from now on.
  package mutating func number(of type: String) -> TypeNumber {
    if let known = numbers[type] { return known }
    let number = types.count
    numbers[type] = number
    types.append(TypeStatus(name: type))
    readyHeaps.append([])
    return number
  }

  /// - Parameters:
  ///   - pool: the name of a pool set by `setPools`.
  ///   - rate: how many may start in any interval; the window so far is kept when it stays the same.
  package mutating func configure(
    _ type: String, concurrency: Int, pool: String? = nil, rate: Rate? = nil, broken: String? = nil,
    isBeside: Bool = false
  ) {
    let number = number(of: type)
    types[number].isBeside = isBeside
    types[number].concurrency = concurrency
    types[number].broken = broken
    let poolNumber = pool.flatMap { name in pools.firstIndex { $0.name == name } }
    if types[number].pool != poolNumber {
      if let old = types[number].pool { pools[old].running -= types[number].running }
      if let poolNumber { pools[poolNumber].running += types[number].running }
      types[number].pool = poolNumber
    }
    guard rates[number]?.rate != rate else { return }
    rates[number] = rate.map { RateWindow($0) }
    wakeAll(number)
  }

  /// Sets the limits of the pools; those not named any more limit nothing.
  package mutating func setPools(_ limits: [String: Int]) {
    for index in pools.indices { pools[index].concurrency = limits[pools[index].name] ?? .max }
    for (name, concurrency) in limits.sorted(by: { $0.key < $1.key }) where !pools.contains(where: { $0.name == name })
    {
      pools.append(PoolStatus(name: name, concurrency: concurrency))
    }
  }

  /// Counts a start that the log tells of, so that a rate survives a restart.
  package mutating func countStart(_ type: String, key: UInt64, at time: WallTime) {
    rates[number(of: type)]?.count(key, at: time)
  }

  /// Forgets the starts of a type that were counted, to count them anew from the log.
  package mutating func forgetStarts(_ type: String) {
    let number = number(of: type)
    guard let rate = rates[number]?.rate else { return }
    rates[number] = RateWindow(rate)
    wakeAll(number)
  }

  /// A pick became a start at this time, and counts from then: that is what the log says and what a restart goes by.
  package mutating func started(_ pick: Pick, at time: WallTime) {
    if let key = pick.keys.rate { rates[pick.type]?.move(key, from: pick.pickedAt, to: time) }
  }

  /// A pick that counted as a start was none after all.
  package mutating func takeBack(_ pick: Pick) {
    guard let key = pick.keys.rate else { return }
    rates[pick.type]?.takeBack(key, at: pick.pickedAt)
    wake(ValueKey(type: pick.type, value: key))
  }

  /// Tells how a run of the type ended; `nil`: without a verdict on the type (handed back, or the job's own fault).
  package mutating func learn(_ type: TypeNumber, succeeded: Bool?, isTried: Bool, now: WallTime) {
    // One receiver that is down is no reason to keep from the others what they should know.
    guard !types[type].isBeside else { return }
    switch succeeded {
    case true?: types[type].circuit.succeeded()
    case false?: types[type].circuit.failed(isTried: isTried, now: now)
    case nil: if isTried { types[type].circuit.gaveBack(now: now) }
    }
  }

  /// The clock was set back: no rate and no rest lasts longer for it. Waiting jobs are to be looked at again, since only
  /// their files say which of their times are waits.
  package mutating func clockSetBack(to now: WallTime) {
    for number in types.indices { types[number].circuit.clockSetBack(to: now) }
    for number in rates.keys { rates[number]?.clockSetBack(to: now) }
    for key in Array(wakes.keys) { wakes.set(key, now) }
    asked = WallTime(microseconds: .min)
  }

  /// Some of the values of a type's rate that allow no start now, and until when.
  package mutating func refusedValues(_ type: TypeNumber, _ count: Int, now: WallTime) -> [(
    key: UInt64, until: WallTime
  )] {
    rates[type]?.refusing(count, now: now) ?? []
  }

  package mutating func pause(_ type: String, _ paused: Bool) { types[number(of: type)].isPaused = paused }

  package mutating func markBroken(_ type: String, _ reason: String?) { types[number(of: type)].broken = reason }
}
