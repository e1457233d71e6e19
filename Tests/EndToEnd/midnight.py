#!/usr/bin/env python3
"""Midnight, when the audit log goes on in another file (libfaketime): jobs that end before and after it are requeued, waited
for and looked up as on any day, and the chain goes across."""

import glob
import os
import time

from daemon import Spool, check, finish, same, say, skip, until

found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
if not found:
    skip("libfaketime is not installed")

with Spool(config='rescan = "1s"') as spool:
    spool.handler("echo", "cat", "concurrency = 4")
    spool.handler("twice", '[ "$JOBSPOOL_ATTEMPT" = 2 ] || exit 75', 'delays = ["6s"]')
    ahead = int(86400 - (time.time() + 5) % 86400)
    spool.start(prefix=("/usr/bin/env",), env={
        **os.environ, "LD_PRELOAD": found[0], "FAKETIME": f"+{ahead}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    for id_ in ("old-1", "old-2"):
        spool.drop(id_, {"type": "echo", "payload": id_})
        spool.wait(id_)
    spool.drop("across", {"type": "twice"})
    until(lambda: (time.time() + ahead) % 86400 < 43200, "midnight", 20)
    for id_ in ("new-1", "new-2"):
        spool.drop(id_, {"type": "echo", "payload": id_})
        spool.wait(id_)
    spool.wait("across", patience=20)
    same(len(glob.glob(spool.at("log", "audit-*.jsonl"))), 2, "files of the log")

    # The record in each file is what the log must bear out, whichever file of it.
    def runs_again(id_, how):
        until(lambda: len(spool.events(id_, "finished")) == 2 or spool.events(id_, "rejected"), f"{id_} has run again")
        until(lambda: spool.states(id_) in (["done"], ["dead"]), f"{id_} is where it ends")
        same(spool.states(id_), ["done"], f"{id_}, {how}, is in")

    for id_ in ("old-1", "new-1"):
        spool.ask({"do": "requeue", "jobs": [id_]})
        runs_again(id_, "requeued")
    os.rename(spool.at("done", "new-2.json"), spool.at("new", "new-2.json"))
    runs_again("new-2", "moved back")

    # A parent whose file has gone is done by its line.
    os.unlink(spool.at("done", "new-1.json"))
    os.unlink(spool.at("done", "old-2.json"))
    spool.drop("child", {"type": "echo", "after": ["new-1", "old-2"]})
    spool.wait("child", patience=15)
    same(spool.stop(), 0, "exit")
    spool.verify()
    say("jobs of both days were requeued and waited for after midnight")
finish()
