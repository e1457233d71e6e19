/// A JSON number as the decimal number that its text says: 0.1 is a tenth, 1.0 is 1, and 9007199254740993 is not its
/// neighbour. Nothing is rounded, whatever the number of digits. Only exponents beyond ±2^56 are taken for that bound: no
/// text of a payload's size can tell numbers apart there.
struct ExactNumber: Sendable {
  /// As it was written, for messages.
  let text: String
  private let isNegative: Bool
  /// The number is 0.DIGITS times ten to the `magnitude`; the digits have no zeros at either end, and zero has none.
  private let magnitude: Int
  /// How many digits there are.
  private let count: Int
  /// They as one whole number while they are few, as nearly all are: no memory of its own for each.
  private let few: UInt64
  /// They one by one, when they are more.
  private let many: [UInt8]

  private static let farthest = 1 << 56
  /// Digits that any `UInt64` can hold.
  private static let mostOfFew = 18

  /// - Parameter text: a number as RFC 8259 section 6 writes it.
  init(_ text: String) {
    var text = text
    let read = text.withUTF8 { ExactNumber.read($0) }
    self.text = text
    isNegative = text.utf8.first == UInt8(ascii: "-")
    count = read.count
    few = read.few
    many = read.many
    magnitude = read.count == 0 ? 0 : read.magnitude
  }

  private static func read(
    _ text: UnsafeBufferPointer<UInt8>
  ) -> (count: Int, few: UInt64, many: [UInt8], magnitude: Int) {
    var count = 0
    var few: UInt64 = 0
    var leading = 0
    var zeros: UInt64 = 1
    var zerosSince = 0
    var whole = 0
    var sawPoint = false
    var exponent = 0
    var end = text.count
    for (place, byte) in text.enumerated() {
      if byte == UInt8(ascii: "-") { continue }
      if byte == UInt8(ascii: ".") {
        sawPoint = true
        continue
      }
      if byte | 0x20 == UInt8(ascii: "e") {
        exponent = ExactNumber.exponent(text[(place + 1)...])
        end = place
        break
      }
      if !sawPoint { whole += 1 }
      if byte != UInt8(ascii: "0") {
        count += zerosSince + 1
        if count <= mostOfFew { few = few * zeros * 10 + UInt64(byte - 48) }
        zerosSince = 0
        zeros = 1
      } else if count == 0 {
        leading += 1
      } else {
        zerosSince += 1
        if zerosSince < mostOfFew { zeros *= 10 }
      }
    }
    var many: [UInt8] = []
    if count > mostOfFew {
      few = 0
      many.reserveCapacity(count)
      for byte in text[..<end] where byte >= 48 && (byte > 48 || !many.isEmpty) && many.count < count {
        many.append(byte - 48)
      }
    }
    return (count, few, many, whole - leading + exponent)
  }

  private static func exponent(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Int {
    var value = 0
    for byte in text where byte >= 48 { value = min(value * 10 + Int(byte - 48), farthest) }
    return text.first == UInt8(ascii: "-") ? -value : value
  }

  var isZero: Bool { count == 0 }
  /// True for 2, 2.0 and 20e-1 alike, as JSON Schema has it.
  var isWhole: Bool { magnitude >= count }
  var isPositive: Bool { !isNegative && !isZero }

  /// The number when it is whole and an Int can hold it.
  var int: Int? {
    guard isWhole, magnitude <= 19 else { return nil }
    var value = 0
    for place in 0..<magnitude {
      let (tens, tooLarge) = value.multipliedReportingOverflow(by: 10)
      let (next, tooLargeToo) = tens.subtractingReportingOverflow(place < count ? Int(digits[place]) : 0)
      if tooLarge || tooLargeToo { return nil }
      value = next
    }
    return isNegative ? value : value == .min ? nil : -value
  }

  private var digits: [UInt8] { many.isEmpty && count > 0 ? Array("\(few)".utf8).map { $0 - 48 } : many }

  /// Most digits that a divisor may have: the remainder is then computed in 128 bits.
  static let divisorDigits = mostOfFew

  var isUsableDivisor: Bool { isPositive && count <= ExactNumber.divisorDigits }

  /// Whether this number is a whole multiple of a usable divisor.
  func isMultiple(of divisor: ExactNumber) -> Bool {
    guard !isZero else { return true }
    // Both as whole numbers times a power of ten. One with no zero at its end is no multiple of a higher power.
    var zeros = (magnitude - count) - (divisor.magnitude - divisor.count)
    guard zeros >= 0 else { return false }
    let modulus = divisor.few
    var remainder = few % modulus
    if !many.isEmpty {
      remainder = many.reduce(UInt64(0)) { (ExactNumber.product($0, 10, modulus) + UInt64($1)) % modulus }
    }
    var power = 10 % modulus
    while zeros > 0 {
      if zeros & 1 == 1 { remainder = ExactNumber.product(remainder, power, modulus) }
      power = ExactNumber.product(power, power, modulus)
      zeros >>= 1
    }
    return remainder == 0
  }

  private static func ten(to power: Int) -> UInt64 { (0..<power).reduce(1) { result, _ in result * 10 } }

  private static func product(_ left: UInt64, _ right: UInt64, _ modulus: UInt64) -> UInt64 {
    modulus.dividingFullWidth((left % modulus).multipliedFullWidth(by: right % modulus)).remainder
  }
}

extension ExactNumber: Comparable, Hashable {
  static func == (left: ExactNumber, right: ExactNumber) -> Bool {
    left.magnitude == right.magnitude && left.few == right.few && left.many == right.many
      && (left.isNegative == right.isNegative || left.isZero)
  }

  func hash(into hasher: inout Hasher) {
    hasher.combine(magnitude)
    hasher.combine(few)
    if !many.isEmpty { hasher.combine(many) }
    hasher.combine(isNegative && !isZero)
  }

  static func < (left: ExactNumber, right: ExactNumber) -> Bool {
    let leftSign = left.isZero ? 0 : left.isNegative ? -1 : 1
    let rightSign = right.isZero ? 0 : right.isNegative ? -1 : 1
    guard leftSign == rightSign else { return leftSign < rightSign }
    return leftSign < 0 ? right.isNearer(than: left) : left.isNearer(than: right)
  }

  /// Whether it lies nearer to zero; both have the same sign.
  private func isNearer(than other: ExactNumber) -> Bool {
    guard magnitude == other.magnitude else { return magnitude < other.magnitude }
    guard many.isEmpty, other.many.isEmpty else { return digits.lexicographicallyPrecedes(other.digits) }
    return few * ExactNumber.ten(to: 18 - count) < other.few * ExactNumber.ten(to: 18 - other.count)
  }
}
