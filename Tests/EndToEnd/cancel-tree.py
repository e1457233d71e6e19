#!/usr/bin/env python3
"""Cancelling a shell that ignores SIGTERM and has grandchildren, some in sessions of their own: no process is left, and the
job lies in dead/ as cancelled within grace + 1 s."""

import subprocess
import time

from daemon import Spool, check, finish, marked, program, same, say, until

GRACE = 1.0

with Spool() as spool:
    spool.handler("stubborn", """
trap '' TERM INT HUP
for n in 1 2 3; do
  setsid sh -c 'trap "" TERM; sleep 300 & (sleep 300 & sleep 300) & wait' &
  sh -c 'trap "" TERM; sleep 300 & wait' &
done
while :; do sleep 300; done
""", f'grace = "{int(GRACE * 1000)}ms"\nconcurrency = 4', "/bin/bash")
    spool.start()
    for how in ("cli", "ctl"):
        id_ = f"stubborn-{how}"
        spool.drop(id_, {"type": "stubborn"})
        until(lambda: len(marked(f"JOBSPOOL_ID={id_}")) >= 16, "the whole tree runs")
        count = len(marked(f"JOBSPOOL_ID={id_}"))
        began = time.monotonic()
        if how == "cli":
            done = subprocess.run([program("jobspool"), "cancel", id_, "--spool", spool.path], capture_output=True)
            same(done.returncode, 0, f"cancel: {done.stderr.decode()}")
        else:
            check(spool.ask({"do": "cancel", "jobs": [id_]})["results"][0]["ok"], "cancel by a file in ctl/")
        took = time.monotonic() - began
        record = spool.wait(id_, "dead")
        same((record["outcome"], record["error"]["code"]), ("cancelled", "cancelled"), f"{how}: its end")
        same(marked(f"JOBSPOOL_ID={id_}"), [], f"{how}: processes left of {count}")
        check(took < GRACE + 1, f"{how}: answered after {took:.2f} s, grace is {GRACE:.0f} s")
        check(took >= GRACE, f"{how}: SIGTERM was ignored, so grace was waited for")
        say(f"{how}: {count} processes gone, dead as cancelled after {took:.2f} s with a grace of {GRACE:.0f} s")
    same(spool.stop(), 0, "exit")
    spool.verify()
finish()
