#!/usr/bin/env python3
"""Handlers that take away, move, replace or overwrite the file of their own job, as they can who run as the daemon's user: the
job has its end all the same, once, whole, in the folder where it belongs, and the log says what was done. And handlers that
say more than anybody reads: a bounded part of it is in the audit log and in the daemon's own."""

import os

from daemon import Spool, check, finish, same, say, until

HARMS = {
    "removes": 'rm -f "$JOBSPOOL_JOB"',
    "moves-on": 'mv "$JOBSPOOL_JOB" "$JOBSPOOL_DIR/done/"',
    "moves-aside": 'mv "$JOBSPOOL_JOB" "$JOBSPOOL_DIR/hold/"',
    "moves-back": 'mv "$JOBSPOOL_JOB" "$JOBSPOOL_DIR/new/"; sleep 0.5',
    "moves-out": 'mv "$JOBSPOOL_JOB" "$JOBSPOOL_DIR/handlers/"',
    "overwrites": 'echo garbage > "$JOBSPOOL_JOB"',
    "adds": 'echo garbage >> "$JOBSPOOL_JOB"',
    "edits": 'sed -i s/payload/garbage/ "$JOBSPOOL_JOB"',
    "links": 'ln -sf /etc/passwd "$JOBSPOOL_JOB"',
    "folder": 'rm -f "$JOBSPOOL_JOB"; mkfifo "$JOBSPOOL_JOB"',
}
PAYLOAD = {"text": "as it was dropped ü", "fill": "x" * 5000}

with Spool(config='max_jobs = 16\nrescan = "1s"') as spool:
    spool.handler("good", "cat")
    for name, harm in HARMS.items():
        spool.handler(name, f"{harm}\necho 1", "max_attempts = 1")
        spool.handler(f"{name}-fails", f"{harm}\n[ $JOBSPOOL_ATTEMPT -eq 2 ] || exit 1\necho 2", 'max_attempts = 2\ndelays = ["10ms"]')
        # A record that is too large for its line in the log.
        spool.handler(f"{name}-large", f"{harm}\nhead -c 20000 /dev/zero | tr '\\0' r", "max_attempts = 1")
    spool.start()
    for name in HARMS:
        for kind in (name, f"{name}-fails", f"{name}-large"):
            spool.drop(kind, {"type": kind, "payload": PAYLOAD})
    for name in HARMS:
        for kind in (name, f"{name}-fails", f"{name}-large"):
            # A handler may put it where its end would.
            until(lambda: spool.events(kind, "finished", "buried"), lambda: f"the end of {kind} in the log")
            until(lambda: spool.states(kind) == ["done"], lambda: f"{kind} lies in done/ alone, not in {spool.states(kind)}")
            job = spool.job("done", kind) if spool.states(kind) == ["done"] else {"jobspool": {}}
            same(job.get("payload"), PAYLOAD, f"what was dropped, of {kind}")
            wanted = "r" * 20000 if kind.endswith("-large") else 2 if kind.endswith("-fails") else 1
            same(job["jobspool"].get("result"), wanted, f"the result of {kind}")
            same([event["event"] for event in spool.events(kind, "finished", "buried")], ["finished"], f"the ends of {kind}")
            # A file that was only moved is missed when its end is in the log already.
            if not name.startswith("moves-"):
                check(any("file_was" in event for event in spool.events(kind)), f"the audit log says what happened to {kind}")
            until(lambda: f"the file of {kind} in cur/ was".encode() in spool.said(), f"the daemon's log says so too, of {kind}")
    same(spool.alerts(), {}, "alerts that stay")
    spool.drop("good", {"type": "good"})
    spool.wait("good")
    same([event for event in spool.events("good") if "file_was" in event], [], "remarks about a job that nobody touched")

    # Floods of stages and of log lines.
    spool.handler("stages", 'i=0; while [ $i -lt 3000 ]; do echo "{\\"stage\\":\\"s$i\\"}"; i=$((i+1)); done >&3', "max_attempts = 1")
    spool.handler("long", "printf '{\"stage\":\"%030000d\",\"message\":\"%030000d\"}\\n' 1 2 >&3; sleep 0.3", "max_attempts = 1")
    spool.handler("says", "yes '{\"log\":{\"level\":\"error\",\"message\":\"mmmmmmmm\"}}' | head -n 20000 >&3", "max_attempts = 1")
    spool.handler("shouts", "for i in 1 2 3 4 5 6 7 8 9; do printf '{\"log\":{\"message\":\"%060000d\"}}\\n' $i >&3; done", "max_attempts = 1")
    mark = len(spool.said())
    for name in ("stages", "long", "says", "shouts"):
        spool.drop(name, {"type": name})
    for name in ("stages", "long", "says", "shouts"):
        spool.wait(name)
    stages = spool.events("stages", "stage")
    check(100 <= len(stages) < 1000, f"lines of 3000 stages in the audit log: {len(stages)}")
    same([event["stage"] for event in stages[:100]], [f"s{number}" for number in range(100)], "the first hundred")
    same(sum(event.get("skipped", 0) for event in stages) + len(stages) <= 3000, True, "those left out are counted")
    same(spool.record("done", "stages")["progress"]["stage"], "s2999", "the last one, in the record")
    check(all(len(event["stage"]) < 1100 for event in spool.events("long", "stage")), "a stage of 30,000 bytes is cut")
    check(len(spool.record("done", "long")["progress"]["message"]) < 1100, "and so is a message")
    said = spool.said(mark).splitlines()
    same(len([line for line in said if b" says: " in line and b"mmmm" in line]), 999, "lines of 20,000 in the daemon's log")
    same(len([line for line in said if b"its handler says more than belongs here" in line]), 2, "and it says that there were more")
    size = sum(len(line) for line in said)
    check(size < 700_000, f"the daemon's log grew by {size} bytes")
    with open(spool.at("log", "jobs", "says.log"), "rb") as file:
        check(file.read().count(b"mmmmmmmm") > 10_000, "the job's own log has more")
    say(f"{len(HARMS) * 3} jobs whose file was taken away or changed; {len(stages)} lines of 3,000 stages")
    same(spool.stop(), 0, "exit")
    spool.start()
    spool.stop()
    for name in ("moves-out", "moves-out-fails", "moves-out-large"):
        if os.path.exists(spool.at("handlers", f"{name}.json")):
            os.unlink(spool.at("handlers", f"{name}.json"))
    spool.verify()
finish()
