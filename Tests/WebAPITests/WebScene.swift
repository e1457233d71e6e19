/// A spool with a web program's routes over it.
import Hummingbird
import HummingbirdTesting
import Logging
import NIOPosix
import SpoolTestSupport
import WebAPI

final class WebScene {
  let spool: TestSpool
  let state: WebState
  private let threads = NIOThreadPool(numberOfThreads: 2)

  init() throws {
    spool = try TestSpool()
    threads.start()
    state = WebState(spool: try spool.open(), config: nil, threads: threads, logger: Logger(label: "test"))
  }

  deinit { threads.shutdownGracefully { _ in } }

  func test(_ body: @escaping @Sendable (any TestClientProtocol) async throws -> Void) async throws {
    let application = Application(router: RouteTable.router(state))
    try await application.test(.router) { try await body($0) }
  }
}
