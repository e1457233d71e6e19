#!/usr/bin/env python3
"""Makes days of finished jobs: their files in done/ and an audit log that verifies.

audit_days.py SPOOL NODE TYPE DAYS JOBS: so many jobs on each of the days before today, all within ten minutes that
lie hours away from this time of the day; each waited 100 ms and ran 200 ms, and every hundredth was retried once.
audit_days.py --younger SPOOL SECONDS TYPE: how many lines of finished jobs of that type are younger.
"""

import datetime
import hashlib
import json
import os
import sys

UTC = datetime.timezone.utc


def stamp(time: datetime.datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"


def younger(spool: str, seconds: str, kind: str) -> int:
    since = stamp(datetime.datetime.now(UTC) - datetime.timedelta(seconds=int(seconds)))
    found = 0
    for name in os.listdir(f"{spool}/log"):
        if name.startswith("audit-"):
            for line in open(f"{spool}/log/{name}", encoding="utf-8"):
                if f'"event":"finished","job":"{kind}-' in line and line[7:31] > since:
                    found += 1
    return found


def make(spool: str, node: str, kind: str, days: str, jobs: str) -> None:
    today = datetime.datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    hour = 2 if datetime.datetime.now(UTC).hour >= 12 else 20
    previous, sequence = "0" * 64, 0
    for day in range(int(days), 0, -1):
        start = today - datetime.timedelta(days=day)
        lines = []

        def line(time, event, job, **fields):
            nonlocal previous, sequence
            sequence += 1
            text = {"ts": stamp(time), "seq": sequence, "event": event, "job": job, "type": kind, **fields}
            text = json.dumps({**text, "prev": previous}, separators=(",", ":"))
            previous = hashlib.sha256(text.encode()).hexdigest()
            lines.append(text + "\n")

        for number in range(int(jobs)):
            begin = start + datetime.timedelta(hours=hour, seconds=number * 600 / int(jobs))
            later = lambda ms: begin + datetime.timedelta(milliseconds=ms)
            job = f"{kind}-{day}-{number}"
            record = {"id": job, "state": "done", "outcome": "done", "submitted_at": stamp(begin),
                      "updated_at": stamp(later(300)), "finished_at": stamp(later(300)), "node": node}
            line(begin, "submitted", job, to="new", by="tester")
            attempt = 1
            if number % 100 == 0:
                error = {"code": "exit_75", "message": f"connection {number} refused"}
                line(later(50), "claimed", job, **{"from": "new"}, to="cur", attempt=1, by="daemon", wait_us=50_000)
                line(later(60), "retried", job, **{"from": "cur"}, to="new", attempt=1, by="daemon", run_us=10_000,
                     record={**record, "state": "new", "error": error})
                attempt = 2
            line(later(100), "claimed", job, **{"from": "new"}, to="cur", attempt=attempt, by="daemon", wait_us=100_000)
            line(later(300), "finished", job, **{"from": "cur"}, to="done", attempt=attempt, by="daemon", run_us=200_000,
                 sla="missed" if number % 50 == 0 else "kept", record=record)
            path = f"{spool}/done/{job}.json"
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"type": kind, "jobspool": record}, file, separators=(",", ":"))
            moment = later(300).timestamp() - 0.001
            os.utime(path, (moment, moment))
        name = f"{spool}/log/audit-{node}-{start:%Y-%m-%d}.jsonl"
        with open(name, "w", encoding="utf-8") as file:
            file.writelines(lines)


if sys.argv[1] == "--younger":
    print(younger(*sys.argv[2:]))
else:
    make(*sys.argv[1:])
