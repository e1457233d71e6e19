/// The bytes of many short texts, packed one after another in blocks that never move: a million ids cost their letters and
/// nothing else. Texts are never taken out again; the index copies what it still needs into a new arena now and then.
internal import Glibc

final class TextArena {
  private static let bits: UInt32 = 20
  private static let blockSize = 1 << Int(bits)
  /// As many blocks as 32 bits can address.
  private static let mostBlocks = 1 << (32 - Int(bits))

  private let blocks: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>>
  private var count = 0
  private var used = TextArena.blockSize

  init() {
    blocks = .allocate(capacity: TextArena.mostBlocks)
  }

  deinit {
    for index in 0..<count { blocks[index].deallocate() }
    blocks.deallocate()
  }

  /// Bytes taken from the system.
  var size: Int { count * TextArena.blockSize }

  /// Where the text lies from now on; nil when it is larger than a block, or four gigabytes are full.
  func add(_ text: UnsafeRawBufferPointer) -> UInt32? {
    guard let base = text.baseAddress, !text.isEmpty else { return 0 }
    guard text.count <= TextArena.blockSize else { return nil }
    if used + text.count > TextArena.blockSize {
      guard count < TextArena.mostBlocks else { return nil }
      blocks[count] = .allocate(capacity: TextArena.blockSize)
      count += 1
      used = 0
    }
    memcpy(blocks[count - 1] + used, base, text.count)
    let place = UInt32(count - 1) << TextArena.bits | UInt32(used)
    used += text.count
    return place
  }

  @inline(__always)
  func bytes(_ place: UInt32, _ length: Int) -> UnsafeRawBufferPointer {
    guard length > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    let block = blocks[Int(place >> TextArena.bits)]
    return UnsafeRawBufferPointer(
      start: block + Int(place & UInt32(TextArena.blockSize - 1)), count: length)
  }

  func string(_ place: UInt32, _ length: Int) -> String { String(decoding: bytes(place, length), as: UTF8.self) }
}

enum TextHash {
  /// Eight bytes at a time, multiplied and folded: short texts by the million, none of them secret.
  @inline(__always)
  static func of(_ text: UnsafeRawBufferPointer) -> UInt64 {
    var hash = UInt64(text.count) &* 0x9E37_79B9_7F4A_7C15
    var at = 0
    while at + 8 <= text.count {
      hash = mix(hash ^ text.loadUnaligned(fromByteOffset: at, as: UInt64.self))
      at += 8
    }
    var rest: UInt64 = 0
    while at < text.count {
      rest = rest << 8 | UInt64(text[at])
      at += 1
    }
    return mix(hash ^ rest)
  }

  @inline(__always)
  private static func mix(_ word: UInt64) -> UInt64 {
    let (high, low) = word.multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
    return high ^ low
  }
}

extension UnsafeRawBufferPointer {
  @inline(__always)
  func equals(_ other: UnsafeRawBufferPointer) -> Bool {
    guard count == other.count else { return false }
    guard let left = baseAddress, let right = other.baseAddress else { return true }
    return memcmp(left, right, count) == 0
  }

  @inline(__always)
  func equals(_ text: StaticString) -> Bool {
    count == text.utf8CodeUnitCount && (count == 0 || memcmp(baseAddress!, text.utf8Start, count) == 0)
  }
}
