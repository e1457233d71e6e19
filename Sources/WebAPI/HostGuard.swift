/// Lets only requests through that name one host (RFC 9112, section 3.2). It stands before the codec, which keeps the first name
/// and forgets the version.
internal import NIOCore
internal import NIOHTTP1

final class HostGuard: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart

  struct Trouble: Error {}

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .head(let head) = unwrapInboundIn(data) else { return context.fireChannelRead(data) }
    let hosts = head.headers["host"]
    // HTTP/1.0 knows no Host.
    let isMissing = hosts.isEmpty && (head.version.major, head.version.minor) >= (1, 1)
    guard !isMissing, hosts.count <= 1, hosts.allSatisfy({ HostGuard.mayName($0) }) else {
      return context.fireErrorCaught(Trouble())
    }
    context.fireChannelRead(data)
  }

  /// What RFC 3986 allows in a host and its port; empty for a target without one.
  private static func mayName(_ host: String) -> Bool {
    host.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
      default: "-._~%!$&'()*+;=:[]".utf8.contains(byte)
      }
    }
  }
}
