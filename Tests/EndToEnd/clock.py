#!/usr/bin/env python3
"""A clock that is set back and forward under the running daemon (libfaketime): retries, delays, rates and schedules go on,
nothing runs twice, and the log stays whole."""

import glob
import os
import time

from daemon import Spool, check, finish, same, say, skip, until

found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
if not found:
    skip("libfaketime is not installed")

with Spool(config='max_jobs = 4\nrescan = "1s"') as spool:
    shift = spool.at("..", "shift")

    def clock(text):
        """Sets the daemon's clock, and the daemon's alone."""
        with open(shift + "~", "w") as file:
            file.write(text + "\n")
        os.rename(shift + "~", shift)

    clock("+0")
    spool.handler("twice", '[ "$JOBSPOOL_ATTEMPT" = 2 ] || exit 75', 'delays = ["3s"]\nconcurrency = 50')
    spool.handler("echo", "cat", "concurrency = 4")
    spool.handler("rated", "cat", 'rate = { limit = 1, per = "3s" }')
    # By way of env(1): the library changes the environment when it is first loaded, and a Swift program finds its arguments
    # beside the environment it was started with.
    spool.start(prefix=("/usr/bin/env",), env={**os.environ, "LD_PRELOAD": found[0], "FAKETIME_TIMESTAMP_FILE": shift, "FAKETIME_NO_CACHE": "1",
                     "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"})

    def set_and_see(text, expected):
        clock(text)
        # Whatever makes it say something: a job.
        name = f"look-{len(spool.names('done'))}"
        spool.drop(name, {"type": "echo"})
        day = spool.wait(name).get("finished_at", "")[:10]
        same(day, time.strftime("%Y-%m-%d", time.gmtime(time.time() + expected)), f"the day of the daemon at {text}")

    set_and_see("+0", 0)
    # Back by a day, with a retry, a delay and a rate that wait.
    spool.drop("retry", {"type": "twice"})
    spool.drop("delay", {"type": "echo", "delay": "3s"})
    spool.drop("rate-1", {"type": "rated"})
    spool.drop("rate-2", {"type": "rated"})
    until(lambda: spool.events("retry", "retried") and spool.events("rate-1", "finished"), "they wait")
    began = time.monotonic()
    set_and_see("-1d", -86400)
    for id_ in ("retry", "delay", "rate-2"):
        spool.wait(id_, patience=30)
        took = time.monotonic() - began
        check(took < 10, f"{id_}: 3 s were {took:.1f} s with the clock set back by a day")
    # Far forward: all that became due runs once.
    for n in range(40):
        spool.drop(f"far-{n:02}", {"type": "echo", "delay": "2h"})
    spool.drop("named", {"type": "echo", "run_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 6 * 3600))})
    until(lambda: spool.type("echo").get("scheduled") == 41, "41 are scheduled")
    set_and_see("+3h", 3 * 3600)
    for n in range(40):
        spool.wait(f"far-{n:02}")
    claims = [e["job"] for e in spool.audit() if e["event"] == "claimed" and e["job"].startswith("far-")]
    same((len(claims), len(set(claims))), (40, 40), "starts after a jump by 27 hours, and of how many jobs")
    same(spool.states("named"), ["new"], "one that is due at a named time, later, is in")
    # And back to what is right.
    set_and_see("+0", 0)
    same(spool.states("named"), ["new"], "it still is")
    same(spool.stop(), 0, "exit")
    spool.verify()
    say("a day back and 27 hours forward: each of 44 jobs ran when it should, none twice")
finish()
