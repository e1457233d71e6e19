// swift-tools-version: 6.2
import PackageDescription

// One rule for every Swift target: warnings are errors, `any` is written out, imports are explicit about what they leak.
let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .treatAllWarnings(as: .error),
]

// The HTTP stack triples a first build: JOBSPOOL_CORE_ONLY=1 leaves the web program and its tests out.
let hasWeb = Context.environment["JOBSPOOL_CORE_ONLY"] == nil
let webDependencies: [Package.Dependency] = [
  .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
  .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
  .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
  .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
  .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
]
let webStack: [Target.Dependency] = [
  .product(name: "Hummingbird", package: "hummingbird"),
  .product(name: "HTTPTypes", package: "swift-http-types"),
  .product(name: "NIOCore", package: "swift-nio"),
  .product(name: "NIOPosix", package: "swift-nio"),
  .product(name: "NIOHTTP1", package: "swift-nio"),
  .product(name: "NIOWebSocket", package: "swift-nio"),
  .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
  .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
  .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
  .product(name: "JWTKit", package: "jwt-kit"),
  .product(name: "Crypto", package: "swift-crypto"),
  .product(name: "Logging", package: "swift-log"),
]
let webTargets: [Target] = [
  // The dashboard's files, embedded as they are.
  .target(name: "CDashboard", exclude: ["page"]),
  // HTTP routes, a file for each resource: the only module with the HTTP stack, beside its program.
  .target(
    name: "WebAPI",
    dependencies: [
      "JobModel", "JobSchema", "JobSecrets", "JobSubmission", "SpoolStore", "SpoolConfig", "SpoolHistory", "SpoolWatch",
      "CSpoolShims", "CDashboard",
    ] + webStack,
    swiftSettings: strict),
  .executableTarget(
    name: "jobspool-web",
    dependencies: [
      "JobModel", "SpoolStore", "SpoolConfig", "WebAPI", "CSpoolShims",
      .product(name: "ArgumentParser", package: "swift-argument-parser"),
      .product(name: "Logging", package: "swift-log"),
    ],
    swiftSettings: strict),
  .testTarget(
    name: "WebAPITests",
    dependencies: [
      "WebAPI", "JobModel", "SpoolStore", "SpoolConfig", "SpoolHistory", "SpoolTestSupport",
      "JobSecrets", .product(name: "NIOEmbedded", package: "swift-nio"),
    ] + webStack,
    swiftSettings: strict),
]

let package = Package(
  name: "jobspool",
  products: [
    // What other Swift programs may use; everything else is ours.
    .library(name: "JobspoolClient", targets: ["JobspoolClient"])
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
  ] + (hasWeb ? webDependencies : []),
  targets: [
    // Pure values and rules: no I/O, no clock.
    .target(name: "JobModel", swiftSettings: strict),
    // What Glibc's module lacks; no logic.
    .target(name: "CSpoolShims"),
    // toml++ (Debian: libtomlplusplus-dev) behind a plain C header; nothing else includes it.
    .target(name: "CTomlShim"),
    // jobspool.toml, handlers/ and schedules/, with the line of every mistake.
    .target(name: "SpoolConfig", dependencies: ["JobModel", "JobSchema", "CTomlShim"], swiftSettings: strict),
    // JSON Schema of payloads.
    .target(name: "JobSchema", dependencies: ["JobModel"], swiftSettings: strict),
    // What `encrypt` seals, and the key that opens it.
    .target(
      name: "JobSecrets", dependencies: ["JobModel", .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: strict),
    // The disk: the only module that renames or unlinks a job.
    .target(
      name: "SpoolStore",
      dependencies: ["JobModel", "CSpoolShims", .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: strict),
    .target(
      name: "JobEngine",
      dependencies: [
        "JobModel", "JobSchema", "JobSecrets", "SpoolStore", "CSpoolShims",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),
    // Child processes: the engine's JobRunner.
    .target(name: "JobHandlers", dependencies: ["JobModel", "JobEngine", "CSpoolShims"], swiftSettings: strict),
    .executableTarget(
      name: "jobspoold",
      dependencies: [
        "JobModel", "JobSecrets", "SpoolStore", "SpoolConfig", "SpoolWatch", "JobEngine", "JobHandlers", "CSpoolShims",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),

    // The reading side: lists, single jobs, counts, statistics, the one reason, the audit log.
    .target(
      name: "SpoolHistory", dependencies: ["JobModel", "SpoolStore", "SpoolConfig"], swiftSettings: strict),
    // What is checked and sealed before a job is written.
    .target(
      name: "JobSubmission", dependencies: ["JobModel", "JobSchema", "JobSecrets", "SpoolConfig"], swiftSettings: strict
    ),
    // The command line.
    .executableTarget(
      name: "jobspool",
      dependencies: [
        "JobModel", "JobSchema", "JobSecrets", "JobSubmission", "SpoolStore", "SpoolConfig", "SpoolHistory",
        "SpoolWatch",
        "JobEngine", "JobHandlers", "CSpoolShims", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),

    // The library for Swift programs: submit, ask, wait, handle. The only public API.
    .target(
      name: "JobspoolClient",
      dependencies: ["JobModel", "JobSchema", "JobSecrets", "SpoolStore", "SpoolConfig", "CSpoolShims"],
      swiftSettings: strict),
    // Benchmarks, never packaged. The rest of them is bench.py, which compiles limits.c.
    .executableTarget(
      name: "spoolbench", dependencies: ["JobspoolClient"],
      exclude: [
        "api.py", "bench.py", "peers.py", "plot.py", "scale.py", "verdicts.py", "limits.c", "requirements.txt",
        "install-peers",
      ],
      swiftSettings: strict),

    // The only user of libinotifytools, and a program of its own: the library is GPL-2.0-only.
    .systemLibrary(name: "CInotifyTools", providers: [.apt(["libinotifytools0-dev"])]),
    .executableTarget(
      name: "jobspool-watch", dependencies: ["CInotifyTools"], exclude: ["LICENSE"],
      linkerSettings: [.linkedLibrary("inotifytools")]),
    .target(name: "SpoolWatch", dependencies: ["CSpoolShims"], swiftSettings: strict),

    // Mutated input for every reader of untrusted bytes; fuzz.py beside it runs all of them.
    .executableTarget(
      name: "spoolfuzz",
      dependencies: [
        "JobModel", "JobSchema", "JobSecrets", "SpoolConfig", "SpoolStore", "SpoolHistory", "JobEngine", "JobHandlers",
      ],
      path: "Tests/Fuzz", exclude: ["corpus", "fuzz.py"], swiftSettings: strict),
    .target(
      name: "SpoolTestSupport", dependencies: ["JobModel", "SpoolStore"], path: "Tests/SpoolTestSupport",
      swiftSettings: strict),
    .testTarget(name: "JobModelTests", dependencies: ["JobModel", "SpoolTestSupport"], swiftSettings: strict),
    .testTarget(
      name: "SpoolConfigTests", dependencies: ["SpoolConfig", "JobModel", "SpoolTestSupport"], swiftSettings: strict),
    .testTarget(
      name: "JobSchemaTests", dependencies: ["JobSchema", "JobModel", "SpoolTestSupport"], swiftSettings: strict),
    .testTarget(
      name: "JobSecretsTests",
      dependencies: ["JobSecrets", "JobModel", .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: strict),
    .testTarget(
      name: "JobEngineTests",
      dependencies: [
        "JobEngine", "JobModel", "SpoolStore", "SpoolTestSupport", .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "JobHandlersTests", dependencies: ["JobHandlers", "JobEngine", "JobModel", "CSpoolShims"],
      swiftSettings: strict),
    .testTarget(
      name: "SpoolStoreTests", dependencies: ["SpoolStore", "JobModel", "CSpoolShims", "SpoolTestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "SpoolHistoryTests",
      dependencies: ["SpoolHistory", "SpoolStore", "SpoolConfig", "JobModel", "SpoolTestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "CommandTests",
      dependencies: ["jobspool", "jobspool-watch", "JobModel", "SpoolStore", "CSpoolShims", "SpoolTestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "JobspoolClientTests", dependencies: ["JobspoolClient", "JobModel", "SpoolStore", "SpoolTestSupport"],
      swiftSettings: strict),
    // The documents and the tree agree.
    .testTarget(name: "HouseRulesTests", dependencies: ["JobModel"], swiftSettings: strict),
    .testTarget(
      name: "SpoolWatchTests", dependencies: ["SpoolWatch", "CSpoolShims", "jobspool-watch"], swiftSettings: strict),
  ] + (hasWeb ? webTargets : []),
  swiftLanguageModes: [.v6],
  cxxLanguageStandard: .cxx17
)
