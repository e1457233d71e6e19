#!/usr/bin/env python3
"""An idle daemon does nothing: between scans it makes no system call and does not grow. And measured, not judged: from a rename
into new/ to the handler's first act. SECONDS of idling (6), DROPS measured (200)."""

import os
import re
import subprocess
import time

from daemon import Spool, check, finish, same, say, scratch, skip, until

SECONDS = float(os.environ.get("SECONDS_IDLE", "6"))
DROPS = int(os.environ.get("DROPS", "200"))


def idle_calls(spool, seconds):
    """System calls of daemon and watcher, by name."""
    with open(f"/proc/{spool.process.pid}/task/{spool.process.pid}/children") as file:
        pids = [str(spool.process.pid)] + file.read().split()
    out = os.path.join(scratch(), "strace")
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", out] + [a for pid in pids for a in ("-p", pid)],
                              stderr=subprocess.PIPE)
    time.sleep(seconds)
    tracer.terminate()
    if tracer.wait() not in (0, -15, 143) and not os.path.exists(out):
        return None
    with open(out) as file:
        return re.findall(r"^\d+ +(\w+)\(", file.read(), re.M)


with Spool(config='rescan = "1h"') as spool:
    # The handler notes the time on the clock that Python reads too.
    spool.handler("clock", 'read -r up rest < /proc/uptime; date +%s%N', "concurrency = 4")
    build = subprocess.run(["cc", "-O2", "-x", "c", "-o", spool.at("handlers", "bin", "now"), "-"], input=b"""
#include <stdio.h>
#include <time.h>
int main(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t);
  printf("%lld", t.tv_sec * 1000000000LL + t.tv_nsec); return 0; }""")
    compiled = build.returncode == 0
    if compiled:
        spool.configure(f'command = ["{spool.at("handlers", "bin", "now")}"]\nconcurrency = 4\n', "handlers/clock.toml")
    spool.start()
    for number in range(5):
        spool.drop(f"warm-{number}", {"type": "clock"})
        spool.wait(f"warm-{number}")
    time.sleep(0.5)

    took = []
    if compiled:
        for number in range(DROPS):
            staged = spool.at("tmp", f"j-{number}.json")
            with open(staged, "w") as file:
                file.write('{"type":"clock"}')
            began = time.monotonic_ns()
            os.rename(staged, spool.at("new", f"j-{number}.json"))
            took.append((int(spool.wait(f"j-{number}")["result"]) - began) / 1e6)
            time.sleep(0.002)
        took.sort()
        say(f"drop to handler, exec mode, {DROPS} drops one at a time: p50 {took[len(took) // 2]:.2f} ms, "
            f"p99 {took[len(took) * 99 // 100]:.2f} ms, max {took[-1]:.2f} ms")
    else:
        print("no C compiler: the latency was not measured")

    time.sleep(1.5)  # status.json and the sweeps after the last job.
    resident, peak = spool.resident()
    say(f"memory of the idle daemon: {resident / 1e6:.1f} MB resident, {peak / 1e6:.1f} MB at most")
    check(resident < 30e6, "less than 30 MB, whatever the build")
    before = os.stat(spool.at("status.json")).st_mtime_ns
    with open(f"/proc/{spool.process.pid}/stat") as file:
        cpu_before = sum(int(n) for n in file.read().rsplit(")", 1)[1].split()[11:13])
    try:
        calls = idle_calls(spool, SECONDS)
    except FileNotFoundError:
        calls = None
        print("no strace: system calls were not counted")
    if calls is not None:
        counts = {name: calls.count(name) for name in sorted(set(calls))}
        say(f"system calls of daemon and watcher in {SECONDS:g} s of idling: {counts}")
        # A look at the folders may come just then; it must be one.
        waits = sum(counts.get(name, 0) for name in ("epoll_pwait2", "pselect6", "poll", "restart_syscall"))
        check(waits <= SECONDS and len(calls) <= 2 * SECONDS + 40, "about none")
    same(os.stat(spool.at("status.json")).st_mtime_ns, before, "status.json is not written when idle")
    with open(f"/proc/{spool.process.pid}/stat") as file:
        cpu = sum(int(n) for n in file.read().rsplit(")", 1)[1].split()[11:13]) - cpu_before
    check(cpu <= 5, f"processor time while idle: {cpu * 10} ms")
    same(spool.stop(), 0, "exit")
finish()
