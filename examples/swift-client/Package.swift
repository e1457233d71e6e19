// swift-tools-version: 6.2
import PackageDescription

// In your own package: .package(url: "…/jobspool", from: "1.0.0") in place of the path.
let package = Package(
  name: "swift-client",
  dependencies: [.package(name: "jobspool", path: "../..")],
  targets: [.executableTarget(name: "demo", dependencies: [.product(name: "JobspoolClient", package: "jobspool")])]
)
