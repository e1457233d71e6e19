/// The frames a server sends: whole, and without a mask (RFC 6455, section 5.2).
internal import NIOCore

enum ServerFrame {
  enum Kind: UInt8 {
    case text = 0x81
    case close = 0x88
    case ping = 0x89
    case pong = 0x8A
  }

  static func write(_ kind: Kind, _ data: some Collection<UInt8>, to buffer: inout ByteBuffer) {
    let count = data.count
    buffer.writeInteger(kind.rawValue)
    switch count {
    case ..<126: buffer.writeInteger(UInt8(count))
    case ..<65_536:
      buffer.writeInteger(UInt8(126))
      buffer.writeInteger(UInt16(count))
    default:
      buffer.writeInteger(UInt8(127))
      buffer.writeInteger(UInt64(count))
    }
    buffer.writeBytes(data)
  }

  static func make(_ kind: Kind, _ data: some Collection<UInt8> = []) -> ByteBuffer {
    var buffer = ByteBuffer()
    buffer.reserveCapacity(data.count + 10)
    write(kind, data, to: &buffer)
    return buffer
  }
}
