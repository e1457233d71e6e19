#!/usr/bin/env python3
"""kill -9 of the daemon under load, again and again: no job is lost, none runs beside itself, none ends twice, every record
is whole, every attempt is accounted for, and the audit log's chain holds after each restart. The handlers themselves keep
the books: each takes a lock on its id and writes down its start and its end. ROUNDS says how often (8), SEED what is random.

Some handlers fail and are retried, some write results larger than an audit line, some double-fork into sessions of their
own and go on there."""

import os
import random
import signal
import sys
import time

from daemon import Spool, check, finish, marked, same, say, until

ROUNDS = int(os.environ.get("ROUNDS", "8"))
SEED = int(os.environ.get("SEED", str(int(time.time()))))
print(f"SEED={SEED}")
random.seed(SEED)

BOOKS = r'''
import fcntl, json, os, sys, time
job = json.loads(sys.stdin.readline())
id_, attempt = os.environ["JOBSPOOL_ID"], int(os.environ["JOBSPOOL_ATTEMPT"])
spool = os.environ["JOBSPOOL_DIR"]
books = os.open(os.path.join(spool, "..", "books"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
def note(what):
    os.write(books, f"{time.monotonic_ns()} {what} {id_} {attempt} {os.getpid()}\n".encode())
# Held by every process that descends from this one, until the last of them is gone.
lock = os.open(os.path.join(spool, "..", "locks", id_), os.O_RDWR | os.O_CREAT, 0o600)
os.set_inheritable(lock, True)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    note("BESIDE")
    sys.exit(65)
note("start")
what = job["payload"]
'''
QUICK = BOOKS + r'''
time.sleep(what.get("sleep", 0))
if attempt <= what.get("fails", 0):
    note("fail")
    sys.exit(75)
sys.stdout.write(json.dumps({"id": id_, "fill": "x" * what.get("fill", 0)}))
sys.stdout.flush()
note("end")
'''
STAGES = BOOKS + r'''
for step in range(5):
    os.write(3, json.dumps({"progress": step * 20, "stage": f"step {step}", "message": id_}).encode() + b"\n")
    time.sleep(what.get("sleep", 0) / 5)
sys.stdout.write(json.dumps({"id": id_, "fill": "x" * what.get("fill", 0)}))
sys.stdout.flush()
note("end")
'''
# The grandchild leaves group, session and parent, and would run for a minute.
FORKS = BOOKS + r'''
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    note("hidden")
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2, 3): os.dup2(null, fd)
    time.sleep(60)
    note("SURVIVED")
    os._exit(0)
time.sleep(what.get("sleep", 0))
sys.stdout.write(json.dumps({"id": id_, "fill": ""}))
sys.stdout.flush()
note("end")
'''


def drop_some(spool, number, ids):
    for _ in range(number):
        id_ = f"job-{len(ids):05}"
        kind = random.choice(["quick", "quick", "quick", "stages", "forks"])
        payload = {"sleep": random.choice([0, 0, 0.02, 0.2])}
        if kind != "forks" and random.random() < 0.3:
            payload["fill"] = random.choice([100, 3000, 4000, 5000, 100_000])
        if kind == "quick" and random.random() < 0.3:
            payload["fails"] = random.choice([1, 2])
        ids[id_] = (kind, payload)
        spool.drop(id_, {"type": kind, "payload": payload, "priority": random.randrange(10)})


def read_books(spool):
    with open(spool.at("..", "books")) as file:
        for line in file:
            when, what, id_, attempt, pid = line.split()
            yield int(when), what, id_, int(attempt), int(pid)


settings = 'concurrency = 6\nmax_attempts = 1000\nbackoff = { base = "20ms", factor = 1.0, jitter = 0.5 }\ngrace = "1s"'
ids = {}
with Spool(config='max_jobs = 12\nrescan = "1s"') as spool:
    os.mkdir(spool.at("..", "locks"))
    for name, script in (("quick", QUICK), ("stages", STAGES), ("forks", FORKS)):
        spool.handler(name, script, settings, interpreter=sys.executable + " -S")
    survivors_at_kill = 0
    for round_ in range(ROUNDS):
        drop_some(spool, 20, ids)
        spool.start()
        drop_some(spool, random.randrange(20), ids)
        # Somewhere between the first claims and everything settled.
        time.sleep(random.choice([0.0, 0.02, 0.1, 0.3, 1.0]) * random.random())
        spool.process.kill()
        spool.process.wait()
        survivors_at_kill += len(marked(spool.mark()))
        # Half of the time some run on for a while without a daemon.
        if random.random() < 0.5:
            time.sleep(0.1)
        # Torn lines aside, which the next start repairs, nothing in the log may be damaged: checked after the restart.
        if round_ % 10 == 9:
            spool.start()
            spool.audit()
            spool.process.kill()
            spool.process.wait()
    spool.start()
    until(lambda: spool.count("done", "dead") >= len(ids) and not spool.count("new", "cur"), "every job has ended", 300, every=0.05)
    until(lambda: not marked(spool.mark()), "no handler is left")
    same(spool.stop(), 0, "exit of the daemon")
    same(marked(spool.mark()), [], "processes left behind")
    say(f"{ROUNDS} kills over {len(ids)} jobs; {survivors_at_kill} processes had outlived a daemon (SEED={SEED})")

    events = spool.verify()
    lives = {}
    for event in events:
        if "job" in event:
            lives.setdefault(event["job"], []).append(event)
    books = list(read_books(spool))
    same([b for b in books if b[1] in ("BESIDE", "SURVIVED")], [], "runs beside each other, or left alone for a minute")
    starts, ends = {}, {}
    for when, what, id_, attempt, pid in books:
        if what == "start":
            starts.setdefault(id_, []).append(attempt)
        elif what == "end":
            ends.setdefault(id_, []).append(attempt)

    wrong = 0
    crashes = 0
    for id_, (kind, payload) in ids.items():
        problems = []
        if spool.states(id_) != ["done"]:
            problems.append(f"is in {spool.states(id_)}")
        else:
            record = spool.record("done", id_)
            job = spool.job("done", id_)
            if job["payload"] != payload:
                problems.append("another payload")
            if record.get("result") != {"id": id_, "fill": "x" * payload.get("fill", 0)}:
                problems.append(f"result {str(record.get('result'))[:200]}")
            numbers = [run["n"] for run in record["attempts"]]
            outcomes = [run["outcome"] for run in record["attempts"]]
            if numbers != list(range(1, len(numbers) + 1)) and len(numbers) < 100:
                problems.append(f"attempts {numbers}")
            if outcomes[-1] != "done" or outcomes.count("done") != 1:
                problems.append(f"outcomes {outcomes}")
            crashes += outcomes.count("crashed")
            failed = [n for n, outcome in zip(numbers, outcomes) if outcome not in ("done", "crashed")]
            if any(n > payload.get("fails", 0) for n in failed):
                problems.append(f"failed in attempts {failed}: {record['attempts']}")
            # A run may be cut off before it writes; every run that wrote was counted, and no number was used twice.
            begun = starts.get(id_, [])
            if len(set(begun)) != len(begun) or not set(begun) <= set(numbers):
                problems.append(f"began {begun}, recorded {numbers}")
            if numbers[-1] not in ends.get(id_, []):
                problems.append(f"attempt {numbers[-1]} did not end by itself: {ends.get(id_)}")
            life = [event["event"] for event in lives.get(id_, []) if event["event"] != "stage"]
            if life.count("submitted") != 1 or life.count("finished") != 1 or life[0] != "submitted" or life[-1] != "finished":
                problems.append(f"life {life}")
        if problems:
            wrong += 1
            if wrong <= 5:
                print(f"{id_} ({kind} {payload}): " + "; ".join(problems))
                for event in lives.get(id_, []):
                    print("   ", str(event)[:300])
    same(wrong, 0, "jobs that are not as they should be")
    say(f"{crashes} attempts recorded as crashed, {len(events)} audit lines")
finish()
