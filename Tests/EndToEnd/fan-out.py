#!/usr/bin/env python3
"""Jobs that wait for jobs, in numbers: a batch and who waits for it read in one turn, 10,000 children of one handler with
one job after them all, long chains, members that are refused or taken away."""

import json
import os
import time

from daemon import TOP, Spool, check, finish, same, say, until

PYTHON = "/usr/bin/env python3"

with Spool(config='rescan = "1s"\nmax_jobs = 4') as spool:
    spool.handler("echo", "cat", "concurrency = 4")
    # All of a batch and who waits for it come in one look, as after a pause of the watcher or a start.
    for n in range(50):
        spool.drop(f"a-{n:03}", {"type": "echo", "batch": "a"})
    spool.drop("z-after-a", {"type": "echo", "after": ["batch:a"]})
    spool.start()
    spool.wait("z-after-a", patience=20)
    same(spool.count("new"), 0, "left of a batch that was there at the start")
    ends = [e["job"] for e in spool.audit() if e["event"] == "finished"]
    same(ends.index("z-after-a") if "z-after-a" in ends else None, 50, "members before the job that waited")

    # One handler submits 10,000 children and a job after them.
    count = int(os.environ.get("CHILDREN", "10000"))
    spool.handler("noop", f"import sys, json\nfor line in sys.stdin:\n    print(json.dumps({{'id': json.loads(line)['id'], 'ok': True}}), flush=True)",
                  'mode = "worker"\nconcurrency = 16\nprocesses = 2', PYTHON)
    spool.handler("parent", f"""
import json, os
top = os.environ["JOBSPOOL_DIR"]
def drop(name, job):
    with open(f"{{top}}/tmp/{{name}}.json", "w") as file: json.dump(job, file)
    os.rename(f"{{top}}/tmp/{{name}}.json", f"{{top}}/new/{{name}}.json")
drop("last", {{"type": "noop", "after": ["batch:fan"]}})
for n in range({count}): drop(f"c-{{n}}", {{"type": "noop", "batch": "fan", "run_at": "2000-01-01T00:00:00Z" if n else "2000-01-01T00:00:00Z"}})
print(json.dumps("done"))
""", "", PYTHON)
    # Nothing of them runs before the last is there, so that the batch cannot be over before.
    open(spool.at("ctl", "pause.noop"), "w").close()
    time.sleep(1.5)
    started = time.monotonic()
    spool.drop("fan", {"type": "parent"})
    spool.wait("fan", patience=120)
    until(lambda: spool.status().get("types", {}).get("noop", {}).get("waiting", 0) >= count, "all wait", patience=120)
    say(f"{count} children wait after {time.monotonic() - started:.1f} s")
    os.unlink(spool.at("ctl", "pause.noop"))
    spool.wait("last", patience=300)
    say(f"all ran after {time.monotonic() - started:.1f} s")
    done = [e["job"] for e in spool.audit() if e["event"] == "finished" and e.get("type") == "noop"]
    same((len(done), done.count("last"), done[-1]), (count + 1, 1, "last"), "ends, of the last, and the last of them")
    now, most = spool.resident()
    say(f"resident {now / 1e6:.1f} MB, at most {most / 1e6:.1f} MB")
    check(most < 40e6, "the daemon stays under 40 MB")

    # A long chain waits; others go on.
    spool.drop("k-0", {"type": "echo", "run_at": "2099-01-01T00:00:00Z"})
    started = time.monotonic()
    for n in range(1, 1500):
        spool.drop(f"k-{n}", {"type": "echo", "after": [f"k-{n - 1}"]})
    spool.drop("beside", {"type": "echo"})
    spool.wait("beside", patience=60)
    took = time.monotonic() - started
    say(f"a job behind a chain of 1,500 took {took:.1f} s")
    check(took < 15, "a chain holds up nobody")

    # Members that are refused count, and those that are taken away do not leave the batch open for ever.
    spool.drop("m-1", {"type": "echo", "batch": "m", "run_at": "2099-01-01T00:00:00Z"})
    spool.drop("m-wait", {"type": "echo", "after": ["batch:m"]})
    until(lambda: spool.events("m-wait", "submitted"), "it is known")
    spool.ask({"do": "hold", "jobs": ["m-1"]})
    time.sleep(0.3)
    same(spool.states("m-wait"), ["new"], "a held member is waited for in")
    spool.ask({"do": "purge", "jobs": ["m-1"]})
    same(spool.wait("m-wait", "dead", patience=15).get("error", {}).get("code"), "parent_dead", "after its removal")
    spool.stop()
finish()
