#!/usr/bin/env python3
"""`jobspool why` in every situation in which a job does not run, against the real daemon: the one right reason, in a
sentence that names the job, limit or pause in the way, and when it ends by itself where that is known."""

import json
import os
import signal
import subprocess
import time

from daemon import Spool, check, finish, program, same, say, until

asked = []


def why(spool, id_):
    done = subprocess.run([program("jobspool"), "why", id_, "--json", "--spool", spool.path], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=30)
    if done.returncode != 0:
        return {"reason": f"exit {done.returncode}", "text": done.stderr.decode()}
    return json.loads(done.stdout)


def reason(spool, situation, id_, code, *words, job=None, ends=None):
    """Waits until the answer has this code, since status.json is published a moment later, then checks all of it."""
    answer = {}

    def right():
        answer.clear()
        answer.update(why(spool, id_))
        return answer["reason"] == code

    end = time.monotonic() + 20
    while not right() and time.monotonic() < end:
        time.sleep(0.05)
    asked.append(code)
    text = answer["text"]
    if not same(answer["reason"], code, f"{situation}: {text}"):
        return answer
    missing = [word for word in words if word not in text]
    check(not missing, f"{situation}: it names {list(words)}" + (f"; missing {missing} in: {text}" if missing else ""))
    check("\n" not in text and len(text) < 400, f"{situation}: one sentence")
    if job:
        same(answer.get("job"), job, f"{situation}: the job in the way")
    if ends is not None:
        same("until" in answer, ends, f"{situation}: says when it ends by itself")
    return answer


def configure(spool, more=""):
    spool.configure(f'max_jobs = 6\nrescan = "1s"\ndrain = "30s"\n[pools.smtp]\nconcurrency = 1\n{more}')


with Spool() as spool:
    configure(spool)
    release = spool.at("release")
    # Runs until told.
    wait = f'while [ ! -e "{release}.$JOBSPOOL_ID" ] && [ ! -e "{release}" ]; do sleep 0.05; done'
    spool.handler("echo", "cat", "concurrency = 4")
    spool.handler("slow", wait, "concurrency = 1")
    spool.handler("pooled", wait, 'concurrency = 4\npool = "smtp"')
    spool.handler("pooled2", wait, 'concurrency = 4\npool = "smtp"')
    spool.handler("serial", wait, 'concurrency = 4\nserial_by = "/payload/user"')
    spool.handler("rated", "cat", 'concurrency = 4\nrate = { limit = 2, per = "1h", by = "/payload/user" }')
    spool.handler("plain", "cat", 'concurrency = 4\nrate = { limit = 1, per = "1h" }')
    spool.handler("hidden", "cat", 'redact = ["/payload/user"]\nrate = { limit = 1, per = "1h", by = "/payload/user" }')
    spool.handler("storm", "exit 75", 'concurrency = 1\ndelays = ["1h"]')
    spool.handler("flaky", 'echo "no route" >&2; exit 75', 'delays = ["1h"]')
    spool.handler("full", wait, "concurrency = 9")
    spool.handler("fails", "exit 65")
    spool.configure('command = ["/nowhere/program"]\n', "handlers/missing.toml")
    spool.configure('command = "not a list"\n', "handlers/broken.toml")
    spool.start()

    def let_go(*ids):
        for id_ in ids:
            open(f"{release}.{id_}", "w").close()
            spool.wait(id_)

    # Time
    spool.drop("later", {"type": "echo", "delay": "1h"})
    reason(spool, "a delay", "later", "scheduled", "it is scheduled for", "in 1h", ends=True)
    spool.drop("at", {"type": "echo", "run_at": "2098-01-01T00:00:00Z"})
    reason(spool, "a run_at", "at", "scheduled", "2098-01-01T00:00:00.000Z", ends=True)
    spool.drop("again", {"type": "flaky"})
    reason(spool, "between two attempts", "again", "retry", "attempt 1 failed", "exit code 75: no route", "in 1h", ends=True)

    # Other jobs
    spool.drop("parent", {"type": "echo", "delay": "1h"})
    spool.drop("child", {"type": "echo", "after": ["parent"]})
    reason(spool, "a parent that waits", "child", "blocked", "parent", "which is in new", job="parent")
    spool.drop("orphan", {"type": "echo", "after": ["nobody"]})
    reason(spool, "a parent nobody submitted", "orphan", "blocked", "nobody", "7 days", job="nobody")
    spool.drop("member", {"type": "echo", "batch": "b1", "delay": "1h"})
    spool.drop("summary", {"type": "echo", "after": ["batch:b1"]})
    reason(spool, "a batch with an open member", "summary", "blocked", "the batch b1", "member", job="member")
    spool.drop("early", {"type": "echo", "after": ["batch:b2"]})
    reason(spool, "a batch nobody is in", "early", "blocked", "the batch b2", "no jobs yet")
    spool.drop("bad", {"type": "fails"})
    spool.wait("bad", "dead")
    reason(spool, "dead", "bad", "dead", "failed", "jobspool requeue bad")

    # People
    subprocess.run([program("jobspool"), "hold", "at", "--spool", spool.path], check=True, stdout=subprocess.DEVNULL)
    reason(spool, "held", "at", "held", "jobspool release at")
    open(spool.at("ctl", "pause.echo"), "w").close()
    spool.drop("typed", {"type": "echo"})
    reason(spool, "its type is paused", "typed", "type_paused", "type echo is paused", "jobspool resume echo")
    open(spool.at("ctl", "pause"), "w").close()
    reason(spool, "everything is paused", "typed", "paused", "the queue is paused", "jobspool resume")
    os.unlink(spool.at("ctl", "pause"))
    os.unlink(spool.at("ctl", "pause.echo"))
    spool.wait("typed")
    reason(spool, "done", "typed", "done", "it is done")

    # Programs
    spool.drop("nothing", {"type": "missing"})
    reason(spool, "its program is missing", "nothing", "handler_broken", "missing", "/nowhere/program")
    spool.drop("typo", {"type": "broken"})
    reason(spool, "its handler file does not load", "typo", "handler_broken", "broken.toml", "command")

    # Limits
    spool.drop("s1", {"type": "slow"})
    until(lambda: spool.states("s1") == ["cur"], "s1 runs")
    spool.drop("s2", {"type": "slow"})
    reason(spool, "concurrency", "s2", "type_limit", "its type slow is at its limit", "1 of 1 running", "s1", job="s1")
    reason(spool, "running", "s1", "running", "attempt 1")
    spool.drop("after-s1", {"type": "echo", "after": ["s1"]})
    reason(spool, "a parent that runs", "after-s1", "blocked", "s1, which is in cur", job="s1")
    let_go("s1", "s2")
    spool.wait("after-s1")

    spool.drop("p1", {"type": "pooled"})
    until(lambda: spool.states("p1") == ["cur"], "p1 runs")
    spool.drop("p2", {"type": "pooled2"})
    reason(spool, "a pool", "p2", "pool_limit", "its pool smtp is at its limit", "1 of 1 running", "p1", job="p1")
    let_go("p1", "p2")

    spool.drop("u1", {"type": "serial", "payload": {"user": "ann"}})
    until(lambda: spool.states("u1") == ["cur"], "u1 runs")
    spool.drop("u2", {"type": "serial", "payload": {"user": "ann"}})
    spool.drop("u3", {"type": "serial", "payload": {"user": "bob"}})
    reason(spool, "serial_by", "u2", "serial", "/payload/user", "u1", job="u1")
    until(lambda: spool.states("u3") == ["cur"], "another value runs beside it")
    let_go("u1", "u2", "u3")

    for n in range(6):
        spool.drop(f"f{n}", {"type": "full"})
    until(lambda: len(spool.names("cur")) == 6, "six run")
    spool.drop("f6", {"type": "full"})
    answer = reason(spool, "max_jobs", "f6", "max_jobs", "max_jobs is reached", "6 of 6 running")
    check(answer.get("job") in [f"f{n}" for n in range(6)], f"max_jobs: names one that runs: {answer.get('job')}")
    let_go(*[f"f{n}" for n in range(7)])

    # Rates
    for n in range(3):
        spool.drop(f"r{n}", {"type": "rated", "payload": {"user": "ann"}})
        if n < 2:
            spool.wait(f"r{n}")
    first = [e["ts"] for e in spool.events("r0", "claimed")][0]
    answer = reason(spool, "a rate", "r2", "rate", "the rate of rated", "2 per 1h", 'for "ann"', "the next start is at",
                    "in 1h", ends=True)
    # An hour after the first start of ann's.
    clock = lambda text: time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) + float(text[19:-1])
    same(round(clock(answer.get("until", "1970-01-01T00:00:00.0Z")) - clock(first), 2), 3600.0, "seconds from ann's first start")
    spool.drop("r3", {"type": "rated", "payload": {"user": "bob"}})
    spool.wait("r3")
    check(True, "another value's job ran at once")
    for n in range(2):
        spool.drop(f"n{n}", {"type": "plain"})
        if n < 1:
            spool.wait(f"n{n}")
    text = reason(spool, "a rate of the whole type", "n1", "rate", "the rate of plain", "1 per 1h;").get("text", "")
    check(" for " not in text, f"no value is named where there is none: {text}")
    for n in range(2):
        spool.drop(f"h{n}", {"type": "hidden", "payload": {"user": "secret-ann"}})
        if n < 1:
            spool.wait(f"h{n}")
    text = reason(spool, "a rate by a hidden value", "h1", "rate", "the rate of hidden").get("text", "")
    check("secret" not in text, f"a redacted value is not shown: {text}")
    same(spool.status()["types"]["rated"]["rate"]["limit"], 2, "status.json tells of the rate")
    same(len(spool.status()["types"]["rated"]["rate"]["full"]), 1, "values without room in status.json")
    # It is the log that knows, when status.json tells of other values only.
    spool.stop()
    answer = reason(spool, "no daemon", "r2", "no_daemon", "no daemon runs on", spool.path, "jobspoold --spool")
    spool.start()
    answer = reason(spool, "a rate after a restart", "r2", "rate", 'for "ann"', ends=True)
    same(round(clock(answer.get("until", "1970-01-01T00:00:00.0Z")) - clock(first), 2), 3600.0,
         "seconds from ann's first start, after a restart")
    same(spool.states("r2"), ["new"], "it still waits in")

    # A type that failed 20 times in a row
    for n in range(23):
        spool.drop(f"x{n:02}", {"type": "storm"})
    until(lambda: spool.alerts().get("circuit:storm"), "the type rests")
    left = [id_ for id_ in (f"x{n:02}" for n in range(23)) if not spool.events(id_, "claimed")]
    if check(left, f"{len(left)} were not tried yet"):
        reason(spool, "its type rests", left[-1], "resting", "storm failed 2", "times in a row and rests", "one job is tried at",
               ends=True)

    # The disk
    configure(spool, "")
    spool.configure('max_jobs = 6\nrescan = "1s"\ndrain = "30s"\nmin_free = "99%"\n[pools.smtp]\nconcurrency = 1\n')
    until(lambda: spool.status().get("state") == "low_disk", "the disk counts as full")
    spool.drop("disk", {"type": "echo"})
    reason(spool, "less than min_free", "disk", "low_disk", "min_free", "free some space")
    configure(spool)
    spool.wait("disk")

    # Ends of the daemon
    spool.drop("last", {"type": "slow"})
    until(lambda: spool.states("last") == ["cur"], "it runs")
    spool.process.send_signal(signal.SIGTERM)
    spool.drop("late", {"type": "echo"})
    reason(spool, "the daemon drains", "late", "draining", "shutting down")
    open(f"{release}.last", "w").close()
    same(spool.process.wait(30), 0, "exit")
    spool.process = None
    spool.start()
    spool.wait("late")
    spool.drop("cut", {"type": "slow"})
    until(lambda: spool.states("cut") == ["cur"], "it runs")
    spool.stop(signal.SIGKILL)
    reason(spool, "the daemon is gone", "cut", "orphaned", "when the daemon went down")

    # What the next start will do with them
    spool.drop("gone", {"type": "echo", "expires_at": "2020-01-01T00:00:00Z"})
    reason(spool, "expired", "gone", "expired", "2020-01-01", "no daemon runs now")
    spool.drop("who", {"type": "unheard-of"})
    reason(spool, "an unknown type", "who", "unknown_type", "unheard-of", "handlers")
    spool.drop("text", b"{no json")
    reason(spool, "no job at all", "text", "being_judged", "will be rejected")
    spool.drop("typed", {"type": "echo"})
    reason(spool, "a twin of a finished job", "typed", "being_judged", "another job of this id is in done")
    answer = why(spool, "nobody")
    same(answer["reason"], "exit 66", f"an id nobody has: {answer['text'].strip()}")

    codes = set(asked)
    say(f"{len(asked)} situations, {len(codes)} different reasons, each the right one: {' '.join(sorted(codes))}")
finish()
