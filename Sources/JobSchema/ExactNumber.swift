/// A JSON number as the decimal number that its text says: 0.1 is a tenth, 1.0 is 1, and 9007199254740993 is not its
/// neighbour. Nothing is rounded, whatever the number of digits. Only exponents beyond ±2^56 are taken for that bound: no
/// text of a payload's size can tell numbers apart there.
struct ExactNumber: Sendable {
  /// As it was written, for messages.
  let text: String
  private let isNegative: Bool
  /// The digits without zeros at either end; none for zero. The number is 0.DIGITS times ten to the `magnitude`.
  private let digits: [UInt8]
  private let magnitude: Int

  private static let farthest = 1 << 56

  /// - Parameter text: a number as RFC 8259 section 6 writes it.
  init(_ text: String) {
    self.text = text
    var digits: [UInt8] = []
    var whole = 0
    var sawPoint = false
    var exponent = 0
    var rest = Array(text.utf8)[...]
    isNegative = rest.first == UInt8(ascii: "-")
    if isNegative { rest = rest.dropFirst() }
    while let byte = rest.first {
      rest = rest.dropFirst()
      if byte == UInt8(ascii: ".") {
        sawPoint = true
      } else if byte | 0x20 == UInt8(ascii: "e") {
        exponent = ExactNumber.exponent(rest)
        break
      } else {
        digits.append(byte - 48)
        if !sawPoint { whole += 1 }
      }
    }
    let leading = digits.prefix { $0 == 0 }.count
    digits.removeFirst(leading)
    while digits.last == 0 { digits.removeLast() }
    self.digits = digits
    magnitude = digits.isEmpty ? 0 : whole - leading + exponent
  }

  private static func exponent(_ text: ArraySlice<UInt8>) -> Int {
    var value = 0
    for byte in text where byte >= 48 { value = min(value * 10 + Int(byte - 48), farthest) }
    return text.first == UInt8(ascii: "-") ? -value : value
  }

  var isZero: Bool { digits.isEmpty }
  /// True for 2, 2.0 and 20e-1 alike, as JSON Schema has it.
  var isWhole: Bool { magnitude >= digits.count }
  var isPositive: Bool { !isNegative && !isZero }

  /// The number when it is whole and an Int can hold it.
  var int: Int? {
    guard isWhole, magnitude <= 19 else { return nil }
    var value = 0
    for place in 0..<magnitude {
      let (tens, tooLarge) = value.multipliedReportingOverflow(by: 10)
      let (next, tooLargeToo) = tens.subtractingReportingOverflow(place < digits.count ? Int(digits[place]) : 0)
      if tooLarge || tooLargeToo { return nil }
      value = next
    }
    return isNegative ? value : value == .min ? nil : -value
  }

  /// Most digits that a divisor may have: the remainder is then computed in 128 bits.
  static let divisorDigits = 18

  var isUsableDivisor: Bool { isPositive && digits.count <= ExactNumber.divisorDigits }

  /// Whether this number is a whole multiple of a usable divisor.
  func isMultiple(of divisor: ExactNumber) -> Bool {
    guard !isZero else { return true }
    // Both as whole numbers times a power of ten. One with no zero at its end is no multiple of a higher power.
    var zeros = (magnitude - digits.count) - (divisor.magnitude - divisor.digits.count)
    guard zeros >= 0 else { return false }
    let modulus = divisor.digits.reduce(UInt64(0)) { $0 * 10 + UInt64($1) }
    var remainder = digits.reduce(UInt64(0)) { (ExactNumber.product($0, 10, modulus) + UInt64($1)) % modulus }
    var power = 10 % modulus
    while zeros > 0 {
      if zeros & 1 == 1 { remainder = ExactNumber.product(remainder, power, modulus) }
      power = ExactNumber.product(power, power, modulus)
      zeros >>= 1
    }
    return remainder == 0
  }

  private static func product(_ left: UInt64, _ right: UInt64, _ modulus: UInt64) -> UInt64 {
    modulus.dividingFullWidth((left % modulus).multipliedFullWidth(by: right % modulus)).remainder
  }
}

extension ExactNumber: Comparable, Hashable {
  static func == (left: ExactNumber, right: ExactNumber) -> Bool {
    left.magnitude == right.magnitude && left.digits == right.digits
      && (left.isNegative == right.isNegative || left.isZero)
  }

  func hash(into hasher: inout Hasher) {
    hasher.combine(magnitude)
    hasher.combine(digits)
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
    return digits.lexicographicallyPrecedes(other.digits)
  }
}
