/// What Hummingbird carries along with a request.
package import Hummingbird
internal import NIOCore

package struct WebContext: RequestContext {
  package var coreContext: CoreRequestContextStorage
  /// Where the request came from: `127.0.0.1`, or `unix`.
  package let peer: String

  package init(source: ApplicationRequestContextSource) {
    coreContext = CoreRequestContextStorage(source: source)
    peer = source.channel.remoteAddress?.ipAddress ?? "unix"
  }
}
