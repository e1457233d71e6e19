/// Puts routes, limits and sockets together. The numbers here are what one connection may cost: header sizes, silence, and how
/// many connections there may be.
package import Hummingbird
internal import HummingbirdCore
package import Logging
package import NIOCore
internal import NIOPosix
package import SpoolStore

package enum WebServer {
  /// Where to listen: `HOST:PORT`, `[v6]:PORT` or `unix:/path`.
  package enum Address: Sendable, Equatable {
    case host(String, Int)
    case unix(String)

    package init?(_ text: String) {
      if text.hasPrefix("unix:") {
        let path = String(text.dropFirst(5))
        guard path.hasPrefix("/") else { return nil }
        self = .unix(path)
        return
      }
      guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
        return nil
      }
      var host = text[..<colon]
      if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
      guard !host.isEmpty else { return nil }
      self = .host(String(host), Int(port))
    }

    func url(port: Int) -> String {
      switch self {
      case .host(let host, _): "http://\(host.contains(":") ? "[\(host)]" : host):\(port)"
      case .unix(let path): "unix:\(path)"
      }
    }

    var bind: BindAddress {
      switch self {
      case .host(let host, let port): .hostname(host, port: port)
      case .unix(let path): .unixDomainSocket(path: path)
      }
    }
  }

  private static let connections = 1024
  private static let silence = TimeAmount.seconds(30)

  /// Serves until SIGTERM or SIGINT. Throws when the address cannot be listened on.
  ///
  /// - Parameter listening: called once, when clients may come.
  package static func serve(
    _ spool: Spool, config: String?, address: Address, logger: Logger, listening: @escaping @Sendable () -> Void
  ) async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: min(System.coreCount, 4))
    let threads = NIOThreadPool(numberOfThreads: 8)
    threads.start()
    let state = WebState(spool: spool, config: config, threads: threads, logger: logger)
    state.loadHistory()
    let application = application(state, address: address, group: group) { port in
      logger.notice("jobspool-web serves \(spool.path) on \(address.url(port: port))")
      listening()
    }
    try await application.runService()
  }

  /// The program's server; `started` gets the port that was bound (0 for a socket file).
  package static func application(
    _ state: WebState, address: Address, group: any EventLoopGroup, started: @escaping @Sendable (Int) async -> Void
  ) -> some ApplicationProtocol {
    Application(
      router: RouteTable.router(state),
      server: .http1(
        configuration: HTTP1Channel.Configuration(
          additionalChannelHandlers: [ConnectionGuard(), EventsGate(state)], idleTimeout: silence,
          httpDecoderConfiguration: .init(
            maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 32 << 10, maxHeaderFieldCount: 100))),
      configuration: ApplicationConfiguration(
        address: address.bind, serverName: "jobspool",
        availableConnectionsDelegate: .maximum(connections, logger: state.logger)),
      onServerRunning: { await started($0.localAddress?.port ?? 0) },
      eventLoopGroupProvider: .shared(group), logger: state.logger)
  }
}
