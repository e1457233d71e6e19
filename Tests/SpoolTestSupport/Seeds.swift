/// How many seeds the tests against models try, and how many steps each: a few by default, many in `make torture`, where
/// they begin at another place each time.
internal import Glibc

package enum Seeds {
  package static let all: [UInt64] = {
    let first = number("MODEL_SEED") ?? 1
    return Array(first..<first + (number("MODEL_SEEDS") ?? 8))
  }()

  package static let steps = Int(number("MODEL_STEPS") ?? 2000)

  private static func number(_ name: String) -> UInt64? {
    getenv(name).flatMap { UInt64(String(cString: $0)) }
  }
}
