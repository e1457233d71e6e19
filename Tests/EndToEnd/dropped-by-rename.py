#!/usr/bin/env python3
"""Jobs dropped by a program that knows nothing of jobspool: every one ends in done/ with its own result, and the audit log
tells the life of each exactly once. JOBS says how many (1000)."""

import hashlib
import os
import time

from daemon import Spool, check, finish, same, say, until

COUNT = int(os.environ.get("JOBS", "1000"))

with Spool(config="max_jobs = 8") as spool:
    # The result is the hash of what the handler read, so one result cannot stand for another.
    spool.handler("sum", 'read -r job; printf %s "$JOBSPOOL_ID" | sha256sum | cut -c1-64', "concurrency = 8")
    spool.start()
    began = time.monotonic()
    ids = [f"order-{number:05}" for number in range(COUNT)]
    originals = {}
    for number, id_ in enumerate(ids):
        originals[id_] = b'{"type":"sum","payload":{"n":%d.0,"twice":1,"twice":2,"text":"\\u00e4/"}}\n' % number
        spool.drop(id_, originals[id_])
    until(lambda: len(os.listdir(spool.at("done"))) == COUNT, f"{COUNT} files in done/", every=0.05)
    took = time.monotonic() - began
    say(f"{COUNT} jobs dropped by rename, all done in {took:.1f} s ({COUNT / took:.0f}/s)")
    same(spool.count("new", "cur", "dead", "hold", "tmp"), 0, "files anywhere else")
    same(spool.stop(), 0, "exit of the daemon")

    wrong = 0
    for id_ in ids:
        record = spool.record("done", id_)
        bytes_ = spool.read("done", id_)
        # What the producer wrote is kept byte for byte, up to the brace that closed it.
        kept = bytes_.startswith(originals[id_].rstrip()[:-1])
        expected = hashlib.sha256(id_.encode()).hexdigest()
        if not (record["result"] == expected and record["outcome"] == "done" and record["id"] == id_ and kept
                and [run["outcome"] for run in record["attempts"]] == ["done"]):
            wrong += 1
            print(bytes_)
    same(wrong, 0, "jobs whose file is not what it should be")

    lives = {}
    for event in spool.verify():
        if "job" in event:
            lives.setdefault(event["job"], []).append(event["event"])
    odd = {id_: lives.get(id_) for id_ in ids if lives.get(id_) != ["submitted", "claimed", "finished"]}
    check(not odd, f"submitted, claimed, finished, once each, for every job {dict(list(odd.items())[:3]) or ''}")
    check(set(lives) == set(ids), "no line is about any other job")
finish()
