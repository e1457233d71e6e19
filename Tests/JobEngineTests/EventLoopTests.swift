import Glibc
import Testing

@testable import JobEngine

@Suite struct EventLoopTests {
  private func makePipe() -> (read: Int32, write: Int32) {
    var ends: [Int32] = [-1, -1]
    #expect(pipe(&ends) == 0)
    return (ends[0], ends[1])
  }

  private func put(_ file: Int32) {
    var byte: UInt8 = 120
    #expect(write(file, &byte, 1) == 1)
  }

  @Test("an errand is run once, after beforeWait and before the wait; so is one that it asks for itself")
  func errands() throws {
    let loop = try EventLoop()
    let (reader, writer) = makePipe()
    defer {
      close(reader)
      close(writer)
    }
    var heard: [String] = []
    try loop.watch(reader, for: .read) { _ in
      heard.append("event")
      loop.unwatch(reader)
    }
    loop.beforeWait = { heard.append("beforeWait") }
    loop.beforeNextWait {
      heard.append("first")
      loop.beforeNextWait { [self] in
        heard.append("second")
        put(writer)
      }
    }
    try loop.runOnce(timeout: .seconds(10))
    try loop.runOnce(timeout: .zero)
    #expect(heard == ["beforeWait", "first", "second", "event", "beforeWait"])
  }

  @Test("a watched descriptor is told when it is readable, and no more once it is unwatched")
  func readable() throws {
    let loop = try EventLoop()
    let (reader, writer) = makePipe()
    defer {
      close(reader)
      close(writer)
    }
    var heard = 0
    try loop.watch(reader, for: .read) { ready in
      #expect(ready.contains(.readable))
      heard += 1
    }
    try loop.runOnce(timeout: .zero)
    #expect(heard == 0)
    put(writer)
    try loop.runOnce(timeout: .seconds(10))
    try loop.runOnce(timeout: .seconds(10))
    #expect(heard == 2, "level-triggered: what is not taken is told again")
    loop.unwatch(reader)
    try loop.runOnce(timeout: .zero)
    #expect(heard == 2)
  }

  @Test("what happens before a timer runs out is told before it, also if we stand still in the middle of a round")
  func eventsBeforeTimers() throws {
    let loop = try EventLoop()
    let (first, start) = makePipe()
    let (second, meanwhile) = makePipe()
    defer { for file in [first, start, second, meanwhile] { close(file) } }
    var heard: [String] = []
    try loop.watch(first, for: .read) { [self] _ in
      loop.unwatch(first)
      put(meanwhile)
      usleep(20_000)
    }
    try loop.watch(second, for: .read) { _ in
      heard.append("event")
      loop.unwatch(second)
    }
    _ = loop.after(.milliseconds(10)) { heard.append("timer") }
    put(start)
    while heard.count < 2 { try loop.runOnce(timeout: .seconds(10)) }
    #expect(heard == ["event", "timer"])
  }

  @Test("a descriptor that reuses a number in the same round does not hear the old one's event")
  func reusedNumber() throws {
    let loop = try EventLoop()
    let first = makePipe()
    let second = makePipe()
    var newcomer = 0
    var heard = 0
    // Whichever comes first closes the other and puts a silent pipe in its place, under the same number.
    func replace(_ victim: Int32) throws {
      loop.unwatch(victim)
      close(victim)
      let silent = makePipe()
      #expect(dup2(silent.read, victim) == victim)
      if silent.read != victim { close(silent.read) }
      try loop.watch(victim, for: .read) { _ in newcomer += 1 }
    }
    try loop.watch(first.read, for: .read) { _ in
      heard += 1
      loop.unwatch(first.read)
      try? replace(second.read)
    }
    try loop.watch(second.read, for: .read) { _ in
      heard += 1
      loop.unwatch(second.read)
      try? replace(first.read)
    }
    put(first.write)
    put(second.write)
    try loop.runOnce(timeout: .seconds(10))
    #expect(heard == 1)
    #expect(newcomer == 0)
    try loop.runOnce(timeout: .zero)
    #expect(newcomer == 0)
  }

  @Test("waiting for writing can be switched on and off")
  func interest() throws {
    let loop = try EventLoop()
    let (reader, writer) = makePipe()
    defer {
      close(reader)
      close(writer)
    }
    var heard = 0
    try loop.watch(writer, for: []) { _ in heard += 1 }
    try loop.runOnce(timeout: .zero)
    #expect(heard == 0)
    try loop.change(writer, for: .write)
    try loop.runOnce(timeout: .seconds(10))
    #expect(heard == 1)
    try loop.change(writer, for: [])
    try loop.runOnce(timeout: .zero)
    #expect(heard == 1)
  }

  @Test("timers fire once, in the order they are due, cancelled ones never")
  func timers() throws {
    let loop = try EventLoop()
    var fired: [String] = []
    loop.after(.milliseconds(20)) { fired.append("late") }
    let cancelled = loop.after(.milliseconds(5)) { fired.append("cancelled") }
    loop.after(.milliseconds(10)) {
      fired.append("early")
      loop.cancel(cancelled)
    }
    loop.after(.milliseconds(30)) { loop.stop() }
    loop.cancel(cancelled)
    try loop.run()
    #expect(fired == ["early", "late"])
  }

  @Test("a timer cancelled by one that is due in the same round does not fire")
  func cancelInRound() throws {
    let loop = try EventLoop()
    var fired: [Int] = []
    let due = EventLoop.now
    var second: LoopTimer?
    loop.at(due) {
      fired.append(1)
      if let second { loop.cancel(second) }
    }
    second = loop.at(due) { fired.append(2) }
    loop.at(due) { fired.append(3) }
    try loop.runOnce(timeout: .seconds(10))
    #expect(fired == [1, 3])
  }

  @Test("the heap of timers agrees with sorting, whatever is inserted and removed")
  func heap() {
    var heap = TimerHeap()
    var random = SystemRandomNumberGenerator()
    var alive: [LoopTimer] = []
    for _ in 0..<2000 {
      if let index = alive.indices.randomElement(using: &random), Bool.random(using: &random) && Bool.random() {
        heap.remove(alive.remove(at: index))
      } else {
        let timer = LoopTimer(due: .milliseconds(Int.random(in: 0..<500, using: &random))) {}
        heap.insert(timer)
        alive.append(timer)
      }
      #expect(heap.count == alive.count)
      #expect(heap.first?.due == alive.map(\.due).min())
    }
    #expect(heap.takeDue(.seconds(1)).map(\.due) == alive.map(\.due).sorted())
    #expect(heap.count == 0)
  }

  @Test("a timer that sets itself again for now lets the loop take a turn in between")
  func zeroTimers() throws {
    let loop = try EventLoop()
    var turns = 0
    var fired = 0
    loop.beforeWait = { turns += 1 }
    func again() {
      fired += 1
      if fired < 5 { loop.after(.zero, again) } else { loop.stop() }
    }
    loop.after(.zero, again)
    try loop.run()
    #expect(fired == 5)
    #expect(turns >= 5)
  }

  @Test("beforeWait comes after all callbacks of a round and before the next wait")
  func beforeWait() throws {
    let loop = try EventLoop()
    let pipes = [makePipe(), makePipe()]
    var story: [String] = []
    for pipe in pipes {
      try loop.watch(pipe.read, for: .read) { _ in
        story.append("ready")
        loop.unwatch(pipe.read)
      }
      put(pipe.write)
    }
    loop.beforeWait = {
      story.append("turn")
      if story.count > 2 { loop.stop() }
    }
    try loop.run()
    #expect(story == ["turn", "ready", "ready", "turn"])
  }

  @Test("messages from many threads arrive on the loop's thread, each once, in each sender's order")
  func mailbox() async throws {
    // The loop gets a thread of its own: it is confined to it.
    let perSender = 2000
    let received: [(Int, Int)] = try await withCheckedThrowingContinuation { continuation in
      Thread.detach {
        do {
          let loop = try EventLoop()
          let thread = pthread_self()
          var received: [(Int, Int)] = []
          let box = try loop.mailbox(of: Letter.self) { letter in
            #expect(pthread_equal(pthread_self(), thread) != 0)
            received.append((letter.sender, letter.number))
            if received.count == 4 * perSender { loop.stop() }
          }
          for sender in 0..<4 {
            Thread.detach {
              for number in 0..<perSender { box.post(Letter(sender: sender, number: number)) }
            }
          }
          try loop.run()
          continuation.resume(returning: received)
        } catch {
          continuation.resume(throwing: error)
        }
      }
    }
    for sender in 0..<4 {
      #expect(received.filter { $0.0 == sender }.map(\.1) == Array(0..<perSender))
    }
  }

  private struct Letter: Sendable {
    var sender: Int
    var number: Int
  }

  @Test("a signal is delivered as a callback")
  func signals() async throws {
    let heard: Int = try await withCheckedThrowingContinuation { continuation in
      Thread.detach {
        do {
          let loop = try EventLoop()
          var heard = 0
          try loop.onSignal(SIGUSR1) {
            heard += 1
            loop.stop()
          }
          try loop.onSignal(SIGUSR2) { Issue.record("nobody sent SIGUSR2") }
          // To this thread alone: the others of the test process have it unblocked.
          pthread_kill(pthread_self(), SIGUSR1)
          try loop.run()
          continuation.resume(returning: heard)
        } catch {
          continuation.resume(throwing: error)
        }
      }
    }
    #expect(heard == 1)
  }

  @Test("an idle loop sleeps: no round ends before its timeout")
  func idle() throws {
    let loop = try EventLoop()
    var turns = 0
    loop.beforeWait = { turns += 1 }
    let start = EventLoop.now
    try loop.runOnce(timeout: .milliseconds(30))
    #expect(EventLoop.now - start >= .milliseconds(30))
    #expect(turns == 1)
  }
}

/// A thread of the system, for what must not run on the shared pool.
private enum Thread {
  static func detach(_ body: @escaping @Sendable () -> Void) {
    final class Box {
      let body: @Sendable () -> Void
      init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Box(body))
    let error = pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
        return nil
      }, box.toOpaque())
    precondition(error == 0, "no thread to spare for the test")
    pthread_detach(thread)
  }
}
