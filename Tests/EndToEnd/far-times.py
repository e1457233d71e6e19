#!/usr/bin/env python3
"""Times at the edges. Files whose owner dated them to the end of time, or before its beginning: the daemon runs them like
any other (on a file system that keeps such times, tmpfs or btrfs; elsewhere the kernel takes the nearest it can). Times in
job files: leap seconds, the year 9999 and beyond. And a clock that is thousands of years ahead."""

import glob
import os
import shutil
import subprocess
import tempfile
import time

from daemon import Spool, check, finish, same, until

SECONDS = [2**63 - 1, -(2**63), 2**62, 9_300_000_000_000, 253_402_300_800, -62_167_219_201, 0]
library = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
memory = tempfile.mkdtemp(dir="/dev/shm") if os.access("/dev/shm", os.W_OK) else None

try:
    with Spool(path=memory and os.path.join(memory, "spool")) as spool:
        spool.handler("ok", "cat >/dev/null")
        spool.start()
        for number, second in enumerate(SECONDS):
            for name, text in ((f"good-{number}", '{"type":"ok"}'), (f"bad-{number}", '{"type":"ok",}')):
                staged = spool.at("tmp", f"{name}.json")
                with open(staged, "w") as file:
                    file.write(text)
                subprocess.run(["touch", "-d", f"@{second}", staged], check=True)
                os.rename(staged, spool.at("new", f"{name}.json"))
            spool.wait(f"good-{number}")
            same(spool.wait(f"bad-{number}", "dead").get("outcome"), "rejected", f"what is no JSON, of second {second}")
        # What lies in tmp/ and ctl/ is looked at by its age.
        for second in SECONDS:
            for path in (spool.at("tmp", f"left-{second}"), spool.at("ctl", f"left-{second}.reply"), spool.at("ctl", f"half-{second}.json")):
                with open(path, "w") as file:
                    file.write("{")
                subprocess.run(["touch", "-d", f"@{second}", path], check=True)
        same(spool.stop(), 0, "it stops in order")
        spool.start()
        same(spool.ask({"do": "requeue", "jobs": ["good-0"]}).get("ok"), True, "and answers")
        check(spool.process.poll() is None, "it runs")
        # Times that producers write.
        for name, job in {
            "leap": {"run_at": "2016-12-31T23:59:60Z"}, "last": {"run_at": "9999-12-31T23:59:59Z"},
            "century": {"delay": "36525d"}, "never-expires": {"expires_at": "9999-12-31T23:59:59.999999Z"},
            "beyond": {"run_at": "9999-12-31T23:59:60Z"}, "more": {"delay": "36526d"}, "past": {"run_at": "-0001-01-01T00:00:00Z"},
            "west": {"run_at": "9999-12-31T23:59:59-23:59"}, "long": {"timeout": "36525d"}, "backoff": {"backoff": {"base": "36525d", "factor": 100, "max": "36525d"}},
        }.items():
            spool.drop(name, {"type": "ok", **job})
        for name in ("leap", "never-expires", "long", "backoff"):
            spool.wait(name)
        for name in ("beyond", "more", "past", "west"):
            same(spool.wait(name, "dead").get("outcome"), "rejected", name)
        until(lambda: spool.type("ok").get("scheduled") == 2, "two wait for a century and more")
        same((spool.states("last"), spool.states("century")), (["new"], ["new"]), "they wait")
        same(spool.stop(), 0, "it stops again")
        # Its own clock at the end of the millennium and far beyond what there are digits for.
        for years in (1000, 7900) if library else ():
            started = time.strftime("%Y")
            spool.start(prefix=("/usr/bin/env",), env={**os.environ, "LD_PRELOAD": library[0], "FAKETIME": f"+{years}y", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"})
            spool.drop(f"y{years}", {"type": "ok"})
            year = spool.wait(f"y{years}").get("finished_at", "")[:4]
            check(year.isdigit() and int(year) > int(started) + years - 10, f"a job of the year {year} ran")
            same(spool.stop(), 0, f"it stops in {year}")
finally:
    if memory:
        shutil.rmtree(memory, ignore_errors=True)
finish()
