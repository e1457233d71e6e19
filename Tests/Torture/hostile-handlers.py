#!/usr/bin/env python3
"""What a hostile or broken handler may do to the daemon: floods on every descriptor, signals ignored, processes that slip away or
multiply, pipes held open, lines that are none, answers for others, its own files removed. Each such job ends as it should, leaves no
process, and jobs of other types run on meanwhile with memory bounded. What handlers may do as the user they share with the daemon
is another matter: see docs/SECURITY.md. SHORT=1 does less of the same; BOMB=1 adds a fork bomb, which loads the machine."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "EndToEnd"))

from daemon import Spool, check, finish, marked, same, say
from people import Shared

SHORT = os.environ.get("SHORT") == "1"
# Seconds another job may take meanwhile: a figure, unless LATENCY makes it a limit (for a release build on a machine at rest).
PATIENT = float(os.environ.get("LATENCY", "0"))
MEGABYTES = 50 if SHORT else 2000


class Beside:
    number = 0

    @classmethod
    def go(cls, spool, during, count=3):
        worst = 0
        for _ in range(count):
            cls.number += 1
            began = time.monotonic()
            spool.drop(f"good-{cls.number}", {"type": "good"})
            spool.wait(f"good-{cls.number}")
            worst = max(worst, time.monotonic() - began)
        now = spool.resident()[0]
        check(now < 120 << 20, f"memory during {during}: {now >> 20} MB")
        say(f"other jobs during {during}: {worst * 1000:.0f} ms at most")
        if PATIENT:
            check(worst < PATIENT, f"that is less than the {PATIENT:g} s of LATENCY")


def ends(spool, id_, state, code=None, patience=60):
    record = spool.wait(id_, state, patience)
    error = record.get("error") or {}
    if code:
        same(error.get("code"), code, f"{id_} is {state}: {error.get('message', '')[:100]}")
    else:
        check(record.get("state") == state, f"{id_} is {state} {error.get('code', '')}")
    same(marked(f"JOBSPOOL_ID={id_}\0") if state else [], [], f"processes that {id_} left")
    return record


def execs(spool):
    flood = f"head -c {MEGABYTES}M /dev/zero"
    once = 'max_attempts = 1\ngrace = "300ms"\n'
    # Floods.
    spool.handler("out", flood, once)
    spool.handler("err", f"{flood} | tr '\\0' 'x' >&2", once)
    spool.handler("three", f"{flood} | tr '\\0' 'x' >&3", once)
    spool.handler("lines", "yes '{\"progress\":1,\"message\":\"mmmmmmmmmmmmmmmmmmmmmmmmm\"}' | head -n %d >&3" % (MEGABYTES * 4000), once)
    spool.handler("stages", 'i=0; while [ $i -lt %d ]; do echo "{\\"stage\\":\\"s$i\\"}"; i=$((i+1)); done >&3' % (3000 if SHORT else 100_000), once)
    spool.handler("logs", "yes '{\"log\":{\"level\":\"error\",\"message\":\"\\\\u001b[31mred\"}}' | head -n %d >&3" % (20_000 if SHORT else 500_000), once)
    spool.handler("noise", f"{flood.replace('/dev/zero', '/dev/urandom').replace(str(MEGABYTES), '20')} >&3", once)
    for name in ("out", "err", "three", "lines", "stages", "logs", "noise"):
        spool.drop(name, {"type": name})
    Beside.go(spool, "floods", 8)
    ends(spool, "out", "dead", "result_too_large", 300)
    for name in ("err", "three", "lines", "stages", "logs", "noise"):
        ends(spool, name, "done", patience=300)
    for name in ("err", "three", "logs", "noise"):
        path = spool.at("log", "jobs", f"{name}.log")
        size = os.path.getsize(path) if os.path.exists(path) else 0
        check(size <= (1 << 20) + 200, f"the log of {name} has {size} bytes")
    check(os.path.getsize(spool.at("status.json")) < 1 << 20, "status.json stays small")
    said = len(spool.said())
    check(said < 2 << 20, f"the daemon's own log has {said >> 10} KiB after the floods")
    check(len(spool.events("stages", "stage")) < 100 + 300, "lines of stages in the audit log are few")

    # Control lines that are none, or say what cannot be.
    odd = [b"{", b"[]", b"null", b"\xff\xfe", b"{}" * 5, b"", b" " * 100_000, b'{"progress":1e999}', b'{"progress":"NaN"}', b'{"retry_in":-1}',
           b'{"retry_in":1e308}', b'{"error":{"code":1}}', b'{"progress":1,"progress":2}', b"[" * 60_000, b'{"stage":"' + b"s" * 60_000 + b'"}',
           b'{"id":"other","ok":true}', b'{"result":' + b"[" * 30_000, b'{"log":{"level":"x\\ny","message":"a\\nb"}}', b'{"message":"\\ud800"}', b'{"stage":"half']
    with open(spool.at("odd"), "wb") as file:
        file.write(b"\n".join(odd))
    spool.handler("odd", 'cat "$JOBSPOOL_DIR/odd" >&3; echo 1', once)
    spool.drop("odd", {"type": "odd"})
    same(ends(spool, "odd", "done").get("result"), 1, "its result")

    # Not to be ended, gone away, holding on.
    spool.handler("deaf", "trap '' TERM HUP INT QUIT USR1 USR2; while :; do sleep 1; done", once + 'timeout = "1s"')
    spool.handler("stopped", "kill -STOP $$", once + 'timeout = "1s"')
    spool.handler("away", "setsid sh -c 'setsid sleep 300 & sleep 300' </dev/null >/dev/null 2>&1 3>&- & sleep 0.1; echo 1", once)
    spool.handler("holds", "setsid sleep 300 & echo 2", once)
    spool.handler("bare", "env -i setsid sleep 300 & sleep 0.2; echo 3", once)
    spool.handler("closed", "exec <&- >&- 2>&- 3>&-; sleep 0.5; exit 0", once)
    spool.handler("kills", 'kill -9 -1 2>/dev/null; kill -9 0', once)
    spool.handler("quiet", "sleep 300", once + 'stalled_after = "1s"')
    names = ["deaf", "stopped", "away", "holds", "bare", "closed", "quiet"]
    for name in names:
        spool.drop(name, {"type": name})
    Beside.go(spool, "handlers that cling", 4)
    ends(spool, "deaf", "dead", "timeout")
    ends(spool, "stopped", "dead", "timeout")
    ends(spool, "quiet", "dead", "stalled")
    same([ends(spool, name, "done").get("result") for name in ("away", "holds", "bare")], [1, 2, 3], "results of those that went away")
    ends(spool, "closed", "done")
    same(marked(spool.mark()), [], "processes left")


BOMB = r"""
#define _GNU_SOURCE
#include <signal.h>
#include <unistd.h>
int main(void) {
  signal(SIGTERM, SIG_IGN); signal(SIGHUP, SIG_IGN); signal(SIGCHLD, SIG_IGN);
  for (;;) { if (fork() >= 0) setsid(); }
}
"""


def bombs(spool):
    """A handler that forks into new sessions as fast as it can, up to the limit of its user's processes."""
    bomb = spool.at("handlers", "bin", "bomb")
    if subprocess.run(["cc", "-O1", "-x", "c", "-o", bomb, "-"], input=BOMB.encode()).returncode != 0:
        say("no C compiler: no fork bomb")
        return
    os.chmod(bomb, 0o755)
    spool.configure(f'command = ["{bomb}"]\nmax_attempts = 1\ngrace = "200ms"\ntimeout = "1s"\n', "handlers/bomb.toml")
    time.sleep(1.2)
    for number in range(1 if SHORT else 5):
        spool.drop(f"bomb-{number}", {"type": "bomb"})
        record = spool.wait(f"bomb-{number}", "dead", 120)
        same((record.get("error") or {}).get("code"), "timeout", f"fork bomb {number}")
    same(marked("JOBSPOOL_ID=bomb"), [], "processes of it that are left")
    Beside.go(spool, "what comes after the bomb")


def defuse(spool):
    """What the daemon could not end does not stay on the machine: all are stopped first, so that none forks on."""
    for how in (signal.SIGSTOP, signal.SIGKILL):
        for _ in range(1000):
            left = [pid for pid in marked("JOBSPOOL_ID=bomb") if how == signal.SIGKILL or not stopped(pid)]
            for pid in left:
                try:
                    os.kill(pid, how)
                except ProcessLookupError:
                    pass
            if not left:
                break


def stopped(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] in "TZ"
    except OSError:
        return True


WORKER = r"""
import json, os, signal, sys, time
kind = sys.argv[1]
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def say(text):
    sys.stdout.buffer.write(text if isinstance(text, bytes) else json.dumps(text).encode() + b"\n"); sys.stdout.buffer.flush()
def after(job):
    say({"id": job["id"], "ok": True, "result": job["payload"]})
for line in sys.stdin:
    job = json.loads(line)
    if job["payload"] == "good": after(job); continue
    if kind == "wrong-id": say({"id": "berts", "ok": True, "result": "forged"}); say({"id": "../x", "ok": True}); say({"id": 5, "ok": True}); after(job)
    if kind == "two-answers": after(job); say({"id": job["id"], "ok": False, "error": "second"}); say({"id": job["id"], "progress": 50})
    if kind == "half-line": say(json.dumps({"id": job["id"], "ok": True, "result": "half"})[:-3].encode()); os._exit(0)
    if kind == "no-json": say(b"{nonsense\n\xff\xfe\n[]\nnull\n" + b"[" * 100000 + b"\n"); after(job)
    if kind == "megabytes": say(b'{"id":"' + b"x" * (80 << 20) + b"\n")
    if kind == "endless":
        while True: say(b"y" * 65536)
    if kind == "progress":
        for n in range(int(sys.argv[2])): say({"id": job["id"], "progress": n % 100, "stage": str(n % 2)})
        after(job)
    if kind == "dies": os._exit(7)
    if kind == "mute": time.sleep(600)
    if kind == "closes": os.close(1); time.sleep(600)
    if kind == "leaves":
        after(job)
        if os.fork() == 0:
            os.setsid(); time.sleep(600)
"""


def workers(spool):
    with open(spool.at("handlers", "bin", "worker.py"), "w") as file:
        file.write(WORKER)
    # One minute is what a machine under load may need to read a megabyte.
    more = {"endless": 'timeout = "60s"', "mute": 'timeout = "1s"', "closes": 'timeout = "2s"'}
    kinds = ("wrong-id", "two-answers", "half-line", "no-json", "megabytes", "endless", "progress", "dies", "mute", "closes", "leaves")
    for kind in kinds:
        spool.configure(
            f'command = ["{sys.executable}", "{spool.at("handlers", "bin", "worker.py")}", "{kind}", "{2000 if SHORT else 100_000}"]\n'
            f'mode = "worker"\nconcurrency = 2\nprocesses = 1\nmax_attempts = 1\ngrace = "200ms"\n{more.get(kind, "")}\n', f"handlers/{kind}.toml")
    time.sleep(1.2)
    spool.drop("berts", {"type": "good", "delay": 3600})
    for kind in kinds:
        spool.drop(kind, {"type": kind, "payload": "bad"})
    Beside.go(spool, "workers that misbehave", 8)
    for kind in ("wrong-id", "two-answers", "no-json", "progress", "leaves"):
        same(ends(spool, kind, "done", patience=120).get("result"), "bad", f"the result of {kind}")
    for kind in ("half-line", "dies", "mute", "closes"):
        ends(spool, kind, "dead", patience=120)
    for kind in ("megabytes", "endless"):
        ends(spool, kind, "dead", "result_too_large", patience=120)
    same(spool.states("berts"), ["new"], "a job of another type that a worker answered for")
    for kind in kinds:
        spool.drop(f"{kind}-again", {"type": kind, "payload": "good"})
    for kind in kinds:
        record = spool.wait(f"{kind}-again", "done", 120)
        same(record.get("result"), "good", f"the next job of {kind}")


def selves(spool):
    """A handler that takes away what the daemon works with. It runs as the same user, so nothing keeps it from that; the daemon
    says so, and lives."""
    once = "max_attempts = 1\n"
    spool.handler("own", 'rm -f "$JOBSPOOL_JOB"; echo 1', once)
    spool.handler("moves", 'mv "$JOBSPOOL_JOB" "$JOBSPOOL_DIR/done/"; echo 1', once)
    spool.handler("rewrites", 'echo garbage > "$JOBSPOOL_JOB"; echo 1', once)
    spool.handler("swaps", 'ln -sf /etc/passwd "$JOBSPOOL_JOB"; echo 1', once)
    spool.handler("logged", 'rm -rf "$JOBSPOOL_DIR/log/jobs/logged.log"; ln -s ../../victim "$JOBSPOOL_DIR/log/jobs/logged.log"; echo x >&2; echo 1', once)
    with open(spool.at("victim"), "w") as file:
        file.write("precious")
    for name in ("own", "moves", "rewrites", "swaps", "logged"):
        spool.drop(name, {"type": name})
    Beside.go(spool, "handlers that take away their own job", 4)
    time.sleep(2)
    same(spool.process.poll(), None, "the daemon lives")
    with open(spool.at("victim")) as file:
        same(file.read(), "precious", "what a link in the place of a log led to")
    with open("/etc/passwd") as file:
        check("jobspool\":" not in file.read(), "what a link in the place of a job led to is as it was")
    for name in ("own", "moves", "rewrites", "swaps"):
        same(spool.wait(name).get("result"), 1, f"the result of {name}, all the same")
        same(spool.states(name), ["done"], f"where {name} lies")
    Beside.go(spool, "what is left of that")
    same(spool.stop(), 0, "exit")
    spool.start()
    Beside.go(spool, "a start over it")


with Spool(config="max_jobs = 24\n") as spool:
    spool.handler("good", "cat", "concurrency = 4")
    spool.start()
    pid = spool.process.pid
    for attack in (execs, workers):
        began = time.monotonic()
        attack(spool)
        say(f"{attack.__name__}: {time.monotonic() - began:.1f} s, {spool.resident()[1] >> 20} MB at most")
    same((spool.process.pid, spool.process.poll()), (pid, None), "the daemon is the one that was started")
    check(len(os.listdir(f"/proc/{pid}/fd")) < 150, f"descriptors: {len(os.listdir(f'/proc/{pid}/fd'))}")
    same(spool.stop(), 0, "exit")
    same(marked(spool.mark()), [], "processes left")
    spool.verify()

with Spool("selves", config='max_jobs = 8\nrescan = "1s"') as spool:
    spool.handler("good", "cat", "concurrency = 4")
    spool.start()
    selves(spool)
    spool.stop()

# As a user of its own, whose processes are limited: a bomb among root's would be everybody's.
if os.environ.get("BOMB") == "1" and os.geteuid() == 0 and shutil.which("setpriv") and shutil.which("setfacl") and shutil.which("prlimit"):
    with Shared("bombed", config="max_jobs = 8") as spool:
        spool.handler("good", "cat", "concurrency = 4")
        spool.open_up()
        spool.begin("prlimit", "--nproc=200:200", "--")
        try:
            bombs(spool)
            same(spool.stop(), 0, "exit")
            spool.verify()
        finally:
            defuse(spool)
finish()
