#!/usr/bin/env python3
"""ls --stalled: not who is busy for long and says so, but who is silent, past its time, or run by nobody."""

import json
import signal
import subprocess

from daemon import Spool, finish, program, same, until


def stalled(spool):
    done = subprocess.run([program("jobspool"), "ls", "--stalled", "--json", "--spool", spool.path], capture_output=True, timeout=60)
    return [row["id"] for row in json.loads(done.stdout)]


with Spool() as spool:
    # The first says at once that it lives and goes on saying so; the second, stopped by nothing but KILL, is silent.
    spool.handler("busy", 'while [ ! -e "$JOBSPOOL_DIR/enough" ]; do echo \'{"heartbeat":1}\' >&3; sleep 0.1; done',
                  'stalled_after = "2s"')
    spool.handler("silent", "trap '' TERM\nwhile :; do sleep 0.1; done", 'stalled_after = "2s"\ngrace = "30s"')
    spool.start()
    spool.drop("b", {"type": "busy"})
    spool.drop("s", {"type": "silent"})
    # Both started in the same moment, so once one is listed the other is past stalled_after too.
    same(until(lambda: stalled(spool), "one is listed"), ["s"], "stalled")
    same([event["event"] for event in spool.events("b")], ["submitted", "claimed"], "the busy one goes on")
    spool.stop(signal.SIGKILL)
    same(sorted(stalled(spool)), ["b", "s"], "with no daemon nobody runs them")
    open(spool.at("enough"), "w").close()
    spool.start()
    spool.wait("b")
    spool.stop(signal.SIGKILL)
finish()
