#!/usr/bin/env python3
"""File events that get lost: a kernel queue of 16, a watcher that is stopped, killed again and again, or may not watch at
all. Nothing waits longer than one rescan, and where the loss is known of, not even that. DROPS (600) is the size of the flood."""

import os
import signal
import subprocess
import threading
import time

from daemon import Spool, check, finish, same, say, scratch, skip, until

DROPS = int(os.environ.get("DROPS", "600"))
QUEUE = "/proc/sys/fs/inotify/max_queued_events"
if os.geteuid() != 0:
    skip("only root may make the kernel's queue short")


def watcher(spool):
    """The pid of the daemon's watcher."""
    try:
        with open(f"/proc/{spool.process.pid}/task/{spool.process.pid}/children") as file:
            for pid in map(int, file.read().split()):
                with open(f"/proc/{pid}/comm") as name:
                    if name.read().strip() == "jobspool-watch":
                        return pid
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None


def waits(spool, dropped):
    """How long each waited, by the audit log: from the drop to the claim."""
    first = {}
    for event in spool.audit():
        if event["event"] == "claimed":
            first.setdefault(event["job"], event["wait_us"] / 1e6)
    return {id_: first.get(id_, float("inf")) for id_ in dropped}


def drop_all(spool, prefix, count, pause=0.0):
    ids = [f"{prefix}-{number}" for number in range(count)]
    for id_ in ids:
        spool.drop(id_, {"type": "quick"})
        if pause:
            time.sleep(pause)
    return ids


def all_done(spool, ids, what, patience=60):
    until(lambda: all(os.path.exists(spool.at("done", f"{id_}.json")) for id_ in ids[::-1]), f"{what}: all {len(ids)} are done",
          patience, every=0.05)


WORKER = r"""
import sys, json
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "ok": True}), flush=True)
"""
quick = 'mode = "worker"\nprocesses = 1\nconcurrency = 8'

# An overflow, of which the watcher learns: no rescan is due for an hour.
with Spool("overflow", config='rescan = "1h"\nmax_jobs = 8') as spool:
    spool.handler("quick", WORKER, quick, interpreter="/usr/bin/python3 -S")
    with open(QUEUE) as file:
        before = file.read()
    try:
        # An instance keeps the limit it was made with, so this is short.
        with open(QUEUE, "w") as file:
            file.write("16")
        spool.start()
        until(lambda: watcher(spool), "the watcher runs")
        spool.drop("first", {"type": "quick"})
        spool.wait("first")
    finally:
        with open(QUEUE, "w") as file:
            file.write(before)
    ids = drop_all(spool, "flood", DROPS)
    all_done(spool, ids, "a flood into a queue of 16")
    os.kill(watcher(spool), signal.SIGSTOP)
    ids = drop_all(spool, "stopped", DROPS)
    time.sleep(0.2)
    os.kill(watcher(spool), signal.SIGCONT)
    began = time.monotonic()
    all_done(spool, ids, "a flood while the watcher stood still")
    say(f"overflow: {DROPS} jobs done {time.monotonic() - began:.2f} s after the watcher went on, no rescan for an hour")
    same(spool.stop(), 0, "exit")
    spool.verify()

# A watcher that hangs, of which nobody learns: one rescan at most. Killed: found as soon as it is back, or by the rescan.
RESCAN = 2.0
with Spool("silent", config='rescan = "2s"\nmax_jobs = 8') as spool:
    spool.handler("quick", WORKER, quick, interpreter="/usr/bin/python3 -S")
    spool.start()
    until(lambda: watcher(spool), "the watcher runs")
    os.kill(watcher(spool), signal.SIGSTOP)
    ids = drop_all(spool, "hung", 40, 0.1)
    all_done(spool, ids, "while the watcher hung")
    longest = max(waits(spool, ids).values())
    check(longest < RESCAN + 1, f"with a watcher that hangs nothing waits longer than one rescan of 2 s: {longest:.2f} s")
    os.kill(watcher(spool), signal.SIGKILL)

    stop = threading.Event()
    kills = []

    def kill():
        while not stop.wait(0.05):
            pid = watcher(spool)
            if pid:
                os.kill(pid, signal.SIGKILL)
                kills.append(pid)

    thread = threading.Thread(target=kill)
    thread.start()
    ids = drop_all(spool, "killed", 60, 0.05)
    stop.set()
    thread.join()
    all_done(spool, ids, "while the watcher was killed")
    longest_killed = max(waits(spool, ids).values())
    check(longest_killed < RESCAN + 1,
          f"with a watcher killed {len(kills)} times nothing waits longer than one rescan of 2 s: {longest_killed:.2f} s")
    say(f"rescan 2 s: at most {longest:.2f} s with a hanging watcher, {longest_killed:.2f} s with one killed {len(kills)} times")
    check(b"no wake-ups from jobspool-watch" in spool.said(), "stderr says that there are no wake-ups")
    same(spool.stop(), 0, "exit")
    spool.verify()

# No watch is to be had: said with the limit's name, and the rescan finds everything.
namespace = ["unshare", "-U", "-r", "sh", "-c", 'echo 1 > /proc/sys/user/max_inotify_watches && exec "$@"', "sh"]
if subprocess.run([*namespace, "true"], stderr=subprocess.DEVNULL).returncode != 0:
    print("the limit of watches cannot be set here, left out")
else:
    with Spool("limited", config='rescan = "1s"') as spool:
        spool.handler("quick", WORKER, quick, interpreter="/usr/bin/python3 -S")
        spool.start(prefix=namespace)
        ids = drop_all(spool, "poll", 20, 0.05)
        all_done(spool, ids, "without a watch")
        longest = max(waits(spool, ids).values())
        check(longest < 2, f"without watches nothing waits longer than one rescan of 1 s: {longest:.2f} s")
        check(b"max_user_watches" in spool.said() or b"max_inotify" in spool.said(), "stderr names the limit")
        same(spool.stop(), 0, "exit")
        spool.verify()
finish()
