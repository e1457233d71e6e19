/// Fixed numbers of the program, each with its reason. What an administrator may change is in `DaemonSettings`.
package enum Limits {
  /// Nesting of JSON. The reader recurses, so a hostile file must not choose the depth of our stack.
  package static let jsonDepth = 512
  /// Bytes of an id; `ID.json` and `ID.bad` then fit any file system's 255.
  package static let idLength = 128
  package static let typeLength = 64
  /// Bytes of a token's subject.
  package static let subjectLength = 256
  /// Jobs that are claimed together, at most.
  package static let claimsAtOnce = 64
  /// Claimed jobs that are worth a write to the log before the others of their turn are claimed too.
  package static let startedAtOnce = 16
  /// Settles that may wait for the durable step before claims pause.
  package static let settlesWaiting = 1024
  /// How far apart the durable steps of ends begin while other jobs wait for a place.
  package static let commitGapMilliseconds = 2
  /// Up to so many copies of adopted files are synced one by one.
  package static let copiesSyncedAlone = 4
  /// Files refused in one turn of the engine, each of which costs a sync: good jobs that came in meanwhile do not wait for all.
  package static let refusalsPerTurn = 32
  /// Ids in one request to cancel, by who is no operator.
  package static let idsAsked = 1000
  /// Requests of others than operators that are remembered between two looks into `ctl/`.
  package static let requestsQueued = 4096
  /// How long names are looked at, jobs refused or jobs claimed before everything else has its turn.
  package static let turnMilliseconds = 25
  /// Bytes of a job that is looked at as it comes; larger ones are when all others have been.
  package static let checkedAtOnce = 65_536
  /// Large jobs of which it is remembered that they fit their schema, or why not.
  package static let verdictsRemembered = 10_000
  /// How long requests are carried out before jobs have their turn.
  package static let requestsMilliseconds = 10
  /// Attempts kept in a record, newest last.
  package static let attemptsKept = 100
  /// A record up to this size is repeated in the audit line; the log alone then completes a file that a power cut tore.
  package static let recordInAuditLine = 4096
  /// Bytes of an error's message that the line has of a larger one.
  package static let briefText = 1024
  /// A writer has this long to move its file from `tmp/` to `new/` …
  package static let stagingSeconds = 24 * 3600
  /// … and the sweeper removes it only after this: no living writer can lose its file (qmail's rule).
  package static let sweepStagingSeconds = 36 * 3600
  /// How often the sweeper looks.
  package static let sweepSeconds = 600
  /// A file that does not parse is read once more when it is younger than this: someone may be copying into `new/`.
  package static let youngFileMilliseconds = 1000
  /// Jobs one job may wait for by name; each is looked up. A batch has no such bound.
  package static let parents = 1000
  /// An `after` id nobody has submitted is waited for this long.
  package static let unknownParentSeconds = 7 * 86_400
  /// Missed firings that `catch_up = "all"` makes up for; of more, the newest.
  package static let firingsMadeUp = 1000
  /// A clock set back by no more than this will soon be where it was: nothing fires twice, nothing fires meanwhile (what
  /// cron(8) does for daylight saving). Set back further it was corrected, and schedules go by the new time.
  package static let clockSetBackSeconds = 3 * 3600
  /// How long claims are synced before their handlers start, after an unclean start.
  package static let carefulSeconds = 300
  /// Jobs retention purges between two rounds of the loop …
  package static let purgesPerTurn = 64
  /// … and how long it leaves the loop to others then.
  package static let retentionPauseMilliseconds = 2
  /// How often retention looks at the files themselves, for what the audit log does not tell.
  package static let retentionWalkSeconds = 86_400
  /// After the disk was full, this much must be free before it is asked again, however small `min_free` is.
  package static let roomAfterFullDisk = 256 << 10
  /// Names the watcher told of that may wait to be looked at; beyond, a scan finds them.
  package static let namesWaiting = 65_536
  /// Parents looked up in one turn.
  package static let parentsPerTurn = 500
  /// Jobs moved to `hold/` by hand of which the daemon remembers since when they waited.
  package static let heldRemembered = 10_000
  /// Values of a rate that have no room now, of which status.json tells, per type; of others the audit log does.
  package static let rateValuesPublished = 50
  /// Odd names in `new/` of which each gets an alert of its own.
  package static let namesReported = 20
  /// Stages of one attempt that the audit log has as they come; of more, one a second.
  package static let stagesAtOnce = 100
  /// What one attempt may say in the daemon's own log; all of it is in the job's.
  package static let logLines = 1000
  package static let logLinesBytes = 256 << 10
  /// Bytes of a job's log kept per job.
  package static let jobLogBytes = 1 << 20
}
