internal import Glibc
package import JobEngine
package import JobModel

/// Runs jobs the way their handler says: `exec` ones by `ExecRunner`, `worker` ones by the pool of their type.
///
/// Promises: what `JobRunner` asks for, whatever the mode; after `close` has called back, no handler process is alive.
/// A pool belongs to one set of settings: when they change, its processes finish what they have and go, while the
/// next job starts new ones.
///
/// Making one changes the process, see `ExecRunner`.
package final class HandlerRunner: JobRunner {
  let exec: ExecRunner
  private let loop: EventLoop
  private let remark: (String) -> Void
  private let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 65536)
  private var pools: [String: WorkerPool] = [:]
  /// Pools whose processes are on their way out.
  private var leaving: [WorkerPool] = []
  private var number = 0
  private var isHurrying = false
  private var closed: (() -> Void)?

  /// - Parameters:
  ///   - ownsProcess, otherChildren: see `ExecRunner`.
  ///   - remark: told what an administrator should know about workers, and what belongs to no job.
  package init(
    loop: EventLoop, ownsProcess: Bool, otherChildren: @escaping () -> [Int32] = { [] },
    remark: @escaping (String) -> Void
  ) throws(EventLoop.Failure) {
    self.loop = loop
    self.remark = remark
    exec = try ExecRunner(loop: loop, ownsProcess: ownsProcess, otherChildren: otherChildren)
    exec.alsoRunning = { [unowned self] in allPools.flatMap(\.running) }
  }

  deinit { buffer.deallocate() }

  private var allPools: [WorkerPool] { pools.values + leaving }

  package func start(
    _ request: AttemptRequest, report: @escaping (AttemptEvent) -> Void
  ) throws(StartProblem) {
    switch request.handler.mode {
    case .exec: try exec.start(request, report: report)
    case .worker: try pool(for: request).start(request, report: report)
    }
  }

  package func stop(_ id: String, reason: StopReason) {
    exec.stop(id, reason: reason)
    for pool in allPools where pool.stop(id, reason) { return }
  }

  package func hurry() {
    isHurrying = true
    exec.hurry()
    for pool in allPools { pool.hurry() }
  }

  /// Reaps what has ended and belongs to no job; between jobs nobody else looks for that.
  package func reapStrangers() { exec.strays.reapStrangers() }

  /// Whether a handler could be started now; the message otherwise. Used by configuration checks.
  package func check(_ settings: HandlerSettings) throws(StartProblem) { try exec.check(settings) }

  /// Ends the workers of types that are not run that way any more; those of others are replaced when their next job
  /// comes with new settings.
  package func keepWorkers(of handlers: [String: HandlerSettings]) {
    for type in pools.keys where handlers[type]?.mode != .worker { retire(type) }
  }

  /// Ends all workers: those without a job see the end of their input, have their grace, and then TERM and KILL; jobs
  /// still in one are handed back. Calls back when none is left, perhaps at once. `exec` jobs are not waited for.
  package func close(_ done: @escaping () -> Void) {
    closed = done
    for type in pools.keys { retire(type) }
    for pool in leaving { pool.stopAll() }
    closeIfEmpty()
  }

  private func closeIfEmpty() {
    guard pools.isEmpty, leaving.isEmpty, let done = closed else { return }
    closed = nil
    done()
  }

  private func pool(for request: AttemptRequest) -> WorkerPool {
    let type = request.handler.type
    if let pool = pools[type] {
      if pool.settings == request.handler { return pool }
      retire(type)
    }
    let pool = WorkerPool(request, surroundings)
    pools[type] = pool
    return pool
  }

  private func retire(_ type: String) {
    guard let pool = pools.removeValue(forKey: type) else { return }
    leaving.append(pool)
    pool.retire { [unowned self, unowned pool] in
      leaving.removeAll { $0 === pool }
      closeIfEmpty()
    }
  }

  private var surroundings: WorkerPool.Surroundings {
    WorkerPool.Surroundings(
      loop: loop, strays: exec.strays, buffer: buffer,
      launch: { [unowned self] settings throws(StartProblem) in try exec.launch(settings) },
      nextNumber: { [unowned self] in
        number += 1
        return number
      },
      running: { [unowned self] in exec.running },
      isHurrying: { [unowned self] in isHurrying }, remark: remark)
  }
}
