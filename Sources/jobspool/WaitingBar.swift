/// How far a wait has come, for somebody at a terminal: of many jobs how many have ended, of a single one how far its handler
/// says that it is.
internal import JobModel
internal import SpoolHistory

final class WaitingBar {
  private let reader: SpoolReader
  private let count: Int
  private let bar: ProgressBar

  init(_ reader: SpoolReader, count: Int) {
    self.reader = reader
    self.count = count
    bar = ProgressBar("waiting", total: count > 1 ? count : nil)
  }

  func show(_ open: [String]) {
    guard bar.isShown else { return }
    guard count == 1, let id = open.first else { return bar.show(count - open.count) }
    guard let job = DaemonStatus.read(reader.spool)?.running.first(where: { $0.id == id }) else { return }
    let words = [job.progress.stage, job.progress.message].compactMap { $0 }.joined(separator: ": ")
    if let percent = job.progress.percent { bar.show(share: percent / 100, note: words) } else { bar.show(words) }
  }

  func clear() { bar.clear() }
}
