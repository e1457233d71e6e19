#!/usr/bin/env python3
"""What happens to a machine and its daemon besides crashes: the daemon stands still for longer than any timeout, a handler is
killed for want of memory, the machine comes up again with another clock, the daemon is replaced by another build under load.

JOBSPOOL_OTHER is a folder with that other build (the same one by default), TURNS (4) how often they take turns."""

import glob
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid

from daemon import Spool, check, finish, program, same, say, until

TURNS = int(os.environ.get("TURNS", "4"))
OTHER = os.environ.get("JOBSPOOL_OTHER") or os.path.dirname(program("jobspoold"))


def outcomes(record):
    return [run["outcome"] for run in record.get("attempts", [])]


# The daemon stands still. What ended in time meanwhile has ended in time; what gave signs of life was not silent.
with Spool("still", config='max_jobs = 6\nrescan = "1s"') as spool:
    spool.handler("brief", "sleep 0.3; cat", 'timeout = "2s"\nmax_attempts = 2\ndelays = ["100ms"]')
    spool.handler("lively", 'for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do echo \'{"heartbeat":true}\' >&3; sleep 0.2; done; cat',
                  'stalled_after = "1500ms"\nmax_attempts = 2\ndelays = ["100ms"]')
    spool.handler("endless", "sleep 60", 'timeout = "1s"\ngrace = "500ms"\nmax_attempts = 1')
    spool.start()
    for type_ in ("brief", "lively", "endless"):
        spool.drop(type_, {"type": type_, "payload": 1})
    until(lambda: len(spool.names("cur")) == 3, "all three run")
    spool.process.send_signal(signal.SIGSTOP)
    time.sleep(4)
    spool.drop("meanwhile", {"type": "brief"})
    spool.process.send_signal(signal.SIGCONT)
    same(outcomes(spool.wait("brief")), ["done"], "a job that ended in time while the daemon stood still")
    same(outcomes(spool.wait("lively")), ["done"], "one that gave signs of life meanwhile")
    same(spool.wait("endless", "dead").get("error", {}).get("code"), "timeout", "one past its timeout has ended by")
    same(outcomes(spool.wait("meanwhile")), ["done"], "one that was dropped meanwhile")
    same(spool.stop(), 0, "exit")
    spool.verify()

# No memory: by a cgroup that the handler enters. Recorded as what it was.
group = "/sys/fs/cgroup/memory/jobspool-test" if os.path.isdir("/sys/fs/cgroup/memory") else "/sys/fs/cgroup/jobspool-test"
limit = "memory.limit_in_bytes" if "/memory/" in group else "memory.max"
try:
    os.makedirs(group, exist_ok=True)
    with open(f"{group}/{limit}", "w") as file:
        file.write(str(48 << 20))
    has_group = True
except OSError as error:
    print(f"no memory cgroup can be made here ({error}), left out")
    has_group = False
if has_group:
    try:
        with Spool("memory", config='max_jobs = 4') as spool:
            eats = f"import os; open('{group}/cgroup.procs', 'w').write(str(os.getpid()))\n"
            spool.handler("eats", eats + "held = []\nwhile True: held.append(bytearray(os.urandom(1 << 20)))",
                          'max_attempts = 2\ndelays = ["100ms"]', interpreter=sys.executable + " -S")
            worker = eats + "import json, sys\nfor line in sys.stdin:\n  held = []\n  while True: held.append(bytearray(os.urandom(1 << 20)))"
            spool.handler("worker", worker, 'mode = "worker"\nprocesses = 1\nmax_attempts = 2\ndelays = ["100ms"]',
                          interpreter=sys.executable + " -S")
            spool.handler("shot", "kill -9 $$", "max_attempts = 1")
            spool.handler("echo", "cat")
            spool.start()
            spool.drop("eats", {"type": "eats"})
            record = spool.wait("eats", "dead")
            same(record.get("error", {}).get("code"), "out_of_memory", "a handler killed for want of memory has ended by")
            same([run.get("signal") for run in record.get("attempts", [])], [9, 9], "its signals")
            spool.drop("worker", {"type": "worker"})
            message = spool.wait("worker", "dead").get("error", {}).get("message", "")
            check("memory" in message, f"the worker's job says so too: {message}")
            spool.drop("shot", {"type": "shot"})
            same(spool.wait("shot", "dead").get("error", {}).get("code"), "signal", "one killed by hand has ended by")
            spool.drop("echo", {"type": "echo", "payload": 1})
            spool.wait("echo")
            same(spool.stop(), 0, "exit")
            spool.verify()
    finally:
        for _ in range(100):
            try:
                os.rmdir(group)
                break
            except OSError:
                time.sleep(0.05)

# The machine goes down and comes up with another clock.
faketime = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
if not faketime or os.geteuid() != 0:
    print("libfaketime or root is missing: no reboots")
else:
    with Spool("reboot", config='max_jobs = 4\nrescan = "1s"') as spool:
        spool.handler("slow", "sleep 0.5; cat", 'concurrency = 4\nmax_attempts = 20\ndelays = ' + json.dumps(["100ms"] * 19))
        spool.handler("once", '[ "$JOBSPOOL_ATTEMPT" -gt 1 ] || exit 75; cat', 'concurrency = 4\ndelays = ["2s"]')
        dropped = []
        for turn, shift in enumerate(("+0", "-1d", "+2d", "-10m", "+0")):
            boot = spool.at("..", "boot_id")
            with open(boot, "w") as file:
                file.write(f"{uuid.uuid4()}\n")
            spool.start(
                prefix=("unshare", "-m", "sh", "-c", f'mount --bind "{boot}" /proc/sys/kernel/random/boot_id && exec "$@"', "sh"),
                env={**os.environ, "LD_PRELOAD": faketime[0], "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                     "NO_FAKE_STAT": "1"})
            for type_ in ("slow", "once"):
                for number in range(3):
                    id_ = f"{type_}-{turn}-{number}"
                    spool.drop(id_, {"type": type_, "payload": {"clock": shift}})
                    dropped.append(id_)
            time.sleep(0.7)
            if turn < 4:
                spool.process.kill()
                spool.process.wait()
        for id_ in dropped:
            spool.wait(id_, patience=30)
        same(spool.stop(), 0, "exit")
        events = spool.verify()
        ends = [event["job"] for event in events if event["event"] == "finished"]
        same(sorted(ends), sorted(dropped), "ends")
        say(f"five boots with clocks two days apart: each of {len(dropped)} jobs ended once")

# Another build takes over, in order and not, while jobs come in.
with Spool("upgrade", config='max_jobs = 8\ndrain = "200ms"\nrescan = "1s"') as spool:
    spool.handler("work", 'sleep 0.05; echo "\\"$JOBSPOOL_ID\\""', 'concurrency = 8\nmax_attempts = 50\nbackoff = { base = "20ms", factor = 1.0 }\ngrace = "1s"')
    spool.start()
    accepted, stopping = [], threading.Event()

    def produce():
        while not stopping.wait(0.01):
            id_ = f"job-{len(accepted)}"
            if len(accepted) % 10 == 9:
                subprocess.run([program("jobspool"), "submit", "work", "--id", id_, "--spool", spool.path], check=True,
                               stdout=subprocess.DEVNULL)
            else:
                spool.drop(id_, {"type": "work"})
            accepted.append(id_)

    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    for turn in range(TURNS):
        time.sleep(0.4)
        if turn % 3 == 2:
            spool.process.kill()
            spool.process.wait()
        else:
            same(spool.stop(), 0, "exit of the build that goes")
        spool.start(binary=os.path.join(OTHER, "jobspoold") if turn % 2 == 0 else program("jobspoold"))
    stopping.set()
    thread.join()
    until(lambda: spool.count("done") == len(accepted), lambda: f"{len(accepted)} done; there are {spool.count('done')}")
    same(spool.stop(), 0, "exit")
    events = spool.verify()
    wrong = [id_ for id_ in accepted if spool.states(id_) != ["done"] or spool.record("done", id_).get("result") != id_]
    same(wrong, [], "jobs that did not end well")
    versions = {event["version"] for event in events if event["event"] == "daemon_started"}
    say(f"{TURNS} changes of the daemon's build ({', '.join(sorted(versions))}) under {len(accepted)} jobs: none lost")
finish()
