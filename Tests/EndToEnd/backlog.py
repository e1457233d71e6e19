#!/usr/bin/env python3
"""A deep backlog, dropped while the daemon was down: it starts at once, runs in order of priority, all jobs finish, and memory
stays small. JOBS says how deep (5000; the long form 20000)."""

import os
import random
import time

from daemon import Spool, check, finish, same, say, until

COUNT = int(os.environ.get("JOBS", "5000"))
PRIORITIES = 10

with Spool(config='max_jobs = 4') as spool:
    # Each run adds its id to one file: the order of starts.
    spool.handler("order", 'echo "$JOBSPOOL_ID" >> "$JOBSPOOL_DIR/../order"', "concurrency = 4")
    spool.start()
    spool.stop()
    numbers = list(range(COUNT))
    random.Random(1).shuffle(numbers)
    for number in numbers:
        spool.drop(f"p{number % PRIORITIES}-{number:06}", {"type": "order", "priority": number % PRIORITIES})
    began = time.monotonic()
    spool.start()
    first = until(lambda: os.path.exists(spool.at("..", "order")), "a first job runs") and time.monotonic() - began
    until(lambda: spool.status().get("waiting", 0) > COUNT * 0.5, "most of them are known", 30)
    known = time.monotonic() - began
    resident, _ = spool.resident()
    say(f"{COUNT} waiting at the start: first handler after {first:.2f} s, most known after {known:.2f} s, "
        f"{resident / 1e6:.1f} MB resident")
    # One dropped now, ahead of all others, does not wait for them.
    spool.drop("urgent", {"type": "order", "priority": 0})
    until(lambda: spool.count("done") == COUNT + 1, "all done", 600, every=0.2)
    took = time.monotonic() - began
    _, peak = spool.resident()
    say(f"all done after {took:.1f} s ({COUNT / took:.0f}/s in exec mode, a shell each), {peak / 1e6:.1f} MB at most")
    same(spool.count("new", "cur", "dead", "tmp"), 0, "files anywhere else")
    same(spool.stop(), 0, "exit")

    with open(spool.at("..", "order")) as file:
        order = file.read().split()
    same(len(order), COUNT + 1, "runs")
    same(len(set(order)), COUNT + 1, "jobs that ran")
    priorities = [int(id_[1]) for id_ in order if id_ != "urgent"]
    # The first turns run while the backlog is still being read, and four run beside each other; beyond that a job of a
    # later priority must not start before one of an earlier.
    early = [at for at, p in enumerate(priorities) if p > min(priorities[at:])]
    late = [at for at in early if at > COUNT * 0.2]
    say(f"{len(early)} of {COUNT} ran before one that should have come first, the last of them at {early[-1] if early else 0}")
    check(len(early) <= COUNT * 0.05 + 50, "the order is that of priorities, but for the first that were known")
    events = spool.verify()
    same(sum(event["event"] == "submitted" for event in events), COUNT + 1, "submitted lines")
    same(sum(event["event"] == "finished" for event in events), COUNT + 1, "finished lines")
finish()
