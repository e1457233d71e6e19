#!/usr/bin/env python3
"""A log that was cut, or put back from an older copy, beside an agenda's checkpoint and an index that stand for later lines:
both are passed over, and what the files say counts. And a checkpoint that fits is used."""

import glob
import json
import os

from daemon import Spool, check, finish, same, until

COUNT = 200
REFUSED = "does not fit the audit log"


def rewrite(path, job):
    """Into the very file: neither name nor inode tells."""
    with open(path, "r+b") as file:
        file.truncate(0)
        file.write(json.dumps(job).encode())


def scheduled(spool):
    return spool.status().get("types", {}).get("echo", {}).get("scheduled", 0)


def since_start(spool, work):
    before = os.path.getsize(spool.log) if os.path.exists(spool.log) else 0
    spool.start()
    work()
    same(spool.stop(), 0, "exit")
    return spool.said(before).decode()


with Spool(config="max_jobs = 4") as spool:
    spool.handler("echo", "cat", "concurrency = 4")
    for number in range(COUNT):
        spool.drop(f"wait-{number}", {"type": "echo", "run_at": "2100-01-01T00:00:00Z"})

    def all_known():
        until(lambda: scheduled(spool) == COUNT, "all are known", every=0.05)

    since_start(spool, all_known)
    checkpoint = spool.at("log", "agenda.checkpoint")
    check(os.path.getsize(checkpoint) > COUNT * 24, "a stop leaves a checkpoint")

    text = since_start(spool, all_known)
    check(REFUSED not in text, "a checkpoint that fits is taken")

    # The day's file loses its last lines, the one the checkpoint stands for among them.
    (log,) = glob.glob(spool.at("log", "audit-*.jsonl"))
    with open(log, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    with open(log, "r+b") as file:
        file.truncate(sum(map(len, lines[:-3])))
    rewrite(spool.at("new", "wait-7.json"), {"type": "echo", "payload": "changed"})
    os.unlink(spool.at("new", "wait-9.json"))

    def changed_runs():
        spool.wait("wait-7")
        until(lambda: scheduled(spool) == COUNT - 2, "the others wait", every=0.05)

    text = since_start(spool, changed_runs)
    check(REFUSED in text, f"a checkpoint ahead of the log is refused: {text.strip()[-300:]}")
    same(spool.states("wait-7"), ["done"], "the job whose file was changed in place is in")
    same(spool.states("wait-9"), [], "the job that was removed is in")
    spool.verify()

    # The log is gone altogether, as after a restore without it; its checkpoint stayed.
    (log,) = glob.glob(spool.at("log", "audit-*.jsonl"))
    os.unlink(log)
    rewrite(spool.at("new", "wait-11.json"), {"type": "echo", "payload": "changed"})

    def next_runs():
        spool.wait("wait-11")
        until(lambda: scheduled(spool) == COUNT - 3, "the others wait", every=0.05)

    text = since_start(spool, next_runs)
    check(REFUSED in text, "a checkpoint without its log is refused")
    spool.verify()
finish()
