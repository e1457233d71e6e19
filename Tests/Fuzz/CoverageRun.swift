/// The same targets under LLVM's libFuzzer, which mutates towards code that was not reached before. Only in a build whose
/// Swift is instrumented for it: `Tests/Torture/coverage-fuzz.sh`.
import Glibc

enum CoverageRun {
  #if LIBFUZZER
    /// What libFuzzer calls has no context.
    nonisolated(unsafe) private static var target: FuzzTarget?

    /// `arguments` are libFuzzer's: options and folders of its corpus. Ends the process when it is through.
    static func go(_ target: FuzzTarget, _ arguments: [String]) -> Never {
      self.target = target
      var count = Int32(arguments.count + 1)
      let words = (["spoolfuzz"] + arguments).map { strdup($0) } + [nil]
      let copy = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: words.count)
      copy.initialize(from: words, count: words.count)
      var start: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = copy
      exit(
        runDriver(&count, &start) { bytes, size in
          let input = Array(UnsafeBufferPointer(start: bytes, count: min(size, Main.largest)))
          do { _ = try CoverageRun.target?.run(input) } catch {
            print("\(CoverageRun.target?.name ?? ""): \(error)")
            fflush(nil)
            abort()
          }
          return 0
        })
    }

    // FuzzerInterface.h of compiler-rt.
    @_silgen_name("LLVMFuzzerRunDriver")
    private static func runDriver(
      _ count: UnsafeMutablePointer<Int32>,
      _ words: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
      _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
    ) -> Int32
  #else
    static func go(_ target: FuzzTarget, _ arguments: [String]) -> Never {
      Main.fail("this build is not instrumented for libFuzzer; see Tests/Torture/coverage-fuzz.sh")
    }
  #endif
}
