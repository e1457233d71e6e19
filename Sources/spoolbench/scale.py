"""The rows about many waiting jobs: what one costs while others wait, how a start with a million of them goes, and whether
claims go on beside a scan, a purge and a backup."""

import glob
import json
import os
import shutil
import subprocess
import time

from bench import LIMITS, Spool, all_known, fill, fresh, names, row, run, tool, until


def rest(spool):
    """Pauses, and waits until nothing runs any more."""
    spool.pause()
    time.sleep(0.3)
    until(lambda: names(f"{spool.path}/cur") == 0, "the running jobs to end", 60, 0.1)


def drained(spool, count):
    """Microseconds a job for the next `count` of a paused backlog, and how much the daemon holds."""
    before = spool.done()
    began = time.time()
    spool.resume()
    until(lambda: spool.done() - before >= count, "the first jobs", 300, 0.02)
    took, settled = time.time() - began, spool.done() - before
    rest(spool)
    return {".us": took / settled * 1e6, ".mb": spool.memory()}


@row("depth")
def depth(bench):
    """Cost of a job while so many wait; for a million see the row `million`."""
    for waiting in (1000, 10000, 100000):
        def cost(waiting=waiting):
            with fresh() as folder, Spool(folder) as spool:
                spool.handler("noop")
                fill(spool, waiting)
                spool.pause()
                spool.start()
                until(lambda: all_known(spool, waiting), "the backlog to be known", 600, 0.05)
                return drained(spool, min(waiting, 20000) * 9 // 10)

        bench.measure(f"depth-{waiting}", {"jobspool": cost}, {".us": "us", ".mb": "MB"}, "less", once=waiting >= 100000)


def forget_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3\n")


@row("million")
def million(bench):
    """One spool with a million waiting jobs: a first look at them all, jobs that run meanwhile, cost of a job, and starts
    with what the run before knew."""
    waiting = bench.scaled(1000000)
    with fresh() as folder, Spool(folder) as spool:
        spool.handler("noop")
        began = time.monotonic()
        fill(spool, waiting)
        print(f"  {waiting} waiting jobs in {time.monotonic() - began:.0f} s", flush=True)
        listed = json.loads(run(LIMITS, "list", f"{spool.path}/new"))["seconds"]

        def unknown():
            """No job of it was ever seen: every file is opened, and jobs run meanwhile."""
            spool.start()
            began = time.time()
            until(lambda: spool.done() > 0, "the first job", 300, 0.005)
            first = time.time() - began
            until(lambda: spool.done() > waiting // 20, "the first jobs", 60, 0.1)
            per_second = spool.done() / (time.time() - began - first)
            rest(spool)
            left = names(f"{spool.path}/new")
            until(lambda: all_known(spool, left), "the backlog to be known", 900, 0.1)
            return {".first": first, ".drain": per_second, ".whole": time.time() - began}

        bench.measure("scan-1M", {"jobspool": unknown}, {"": "s", ".drain": "jobs/s"}, "less", once=True)
        bench.measure(f"depth-{waiting}", {"jobspool": lambda: drained(spool, min(18000, names(f"{spool.path}/new") // 3))}, {".us": "us", ".mb": "MB"}, "less", once=True)

        def again(cold):
            def body():
                spool.stop()
                spool.resume()
                if cold:
                    forget_caches()
                began, before = time.monotonic(), spool.done()
                if cold:
                    forget_caches()
                    began = time.monotonic()
                spool.start()
                until(lambda: spool.done() > before, "the first job", 300)
                first = time.monotonic() - began
                rest(spool)
                spool.stop()
                left = names(f"{spool.path}/new")
                if cold:
                    forget_caches()
                began = time.monotonic()
                spool.start()
                until(lambda: all_known(spool, left), "the whole agenda", 600, 0.02)
                return {".first": first, ".whole": time.monotonic() - began}
            return body

        bench.measure("start-1M", {"limit": lambda: {".whole": listed}, "jobspool": again(False)}, "s", "less", once=True)
        if os.geteuid() == 0:
            bench.measure("start-1M-cold", {"jobspool": again(True)}, "s", "less", once=True)
        spool.stop()


# MARK: beside other work


def gap(spool):
    """Milliseconds of the longest time without a `finished` line."""
    ends = []
    for path in sorted(glob.glob(f"{spool.path}/log/audit-*.jsonl")):
        with open(path, "rb") as file:
            for line in file:
                if b'"event":"finished"' in line[:120]:
                    ends.append(line[7:31].decode())
    seconds = [int(t[11:13]) * 3600 + int(t[14:16]) * 60 + float(t[17:23]) for t in sorted(ends)]
    steps = [(later - earlier) % 86400 for earlier, later in zip(seconds, seconds[1:])]
    return max(steps, default=0) * 1000


def steady(count, event=None, more="", at_once=256):
    """A drain with something beside it: jobs per second, and the longest pause of the ends."""
    with fresh() as folder, Spool(folder, at_once) as spool:
        spool.handler("noop", more=more)
        fill(spool, count)
        spool.pause()
        spool.start()
        until(lambda: all_known(spool, count), "the backlog to be known")
        began = time.time()
        spool.resume()
        beside = event(spool) if event else None
        if "done_max" in more:
            until(lambda: names(f"{spool.path}/new") + names(f"{spool.path}/cur") == 0, "the drain", 300, 0.1)
            ended = os.stat(f"{spool.path}/cur").st_mtime_ns / 1e9
        else:
            ended = spool.rest(count)
        if beside:
            beside.wait(300)
            if beside.returncode:
                raise RuntimeError(f"what ran beside it ended with {beside.returncode}")
        return {".per_second": count / (ended - began), ".gap_ms": gap(spool)}


def backup(spool):
    return subprocess.Popen([tool("jobspool"), "backup", f"{spool.folder}/backup", "--spool", spool.path],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@row("beside")
def beside(bench):
    """A drain alone, beside a purge, and beside a backup."""
    count = bench.scaled(40000)
    contestants = {
        "alone": lambda: steady(count),
        "beside-purge": lambda: steady(count, more="retain = { done_max = 500 }\n"),
    }
    if shutil.which("rsync"):
        contestants["beside-backup"] = lambda: steady(count, backup)
    else:
        print("  beside         beside-backup            left out: rsync is not installed", flush=True)
    bench.measure("beside", contestants, "jobs/s|ms", once=True)
