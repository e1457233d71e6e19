#!/usr/bin/env python3
"""Backups of a spool under load: 300 jobs a second and more are dropped, run in workers, fail and are retried, have results
larger than an audit line, are held, let go, requeued and removed, while BACKUPS (3) backups are taken, the last of them
by "ssh". Each is restored: every job accepted before it began is there exactly once, byte for byte as it was dropped,
'fsck' and 'audit verify' find nothing, and a daemon of another node's name runs to the end without running again
anything that was done."""

import json
import os
import random
import subprocess
import sys
import threading
import time

import daemon
from daemon import STATES, Spool, check, finish, program, same, say, skip, until

BACKUPS = int(os.environ.get("BACKUPS", "3"))
RATE = int(os.environ.get("RATE", "300"))
SPAN = float(os.environ.get("SPAN", "1"))
SEED = int(os.environ.get("SEED", str(int(time.time()))))
print(f"SEED={SEED}")
random.seed(SEED)
if subprocess.run(["sh", "-c", "command -v rsync"], capture_output=True).returncode:
    skip("rsync is not installed")

WORKER = r'''
import json, os, sys
spool = os.environ["JOBSPOOL_DIR"]
books = os.open(spool + ".books", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
for line in sys.stdin:
    job = json.loads(line)
    what = job["payload"]
    os.write(books, (job["id"] + "\n").encode())
    if job["attempt"] <= what["fails"]:
        answer = {"id": job["id"], "ok": False, "error": {"code": "no", "message": "not yet"}, "retry_in": "200ms"}
    else:
        answer = {"id": job["id"], "ok": True, "result": {"n": what["n"], "fill": "x" * what["fill"]}}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
'''

scratch = daemon.scratch()
environment = {**os.environ, "JOBSPOOL_DIR": ""}


def jobspool(*arguments, env=None, code=0):
    done = subprocess.run([program("jobspool"), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          cwd="/", env={**environment, **(env or {})}, timeout=240)
    if code is not None and done.returncode != code:
        check(False, f"{' '.join(arguments)} ends with {code}: {done.returncode} {done.stdout}{done.stderr}")
    return done


def fill(spool):
    spool.configure('max_jobs = 16\nnode = "zulu"\n')
    spool.handler("work", WORKER, 'mode = "worker"\nprocesses = 2\nconcurrency = 12\nmax_attempts = 4\n',
                  interpreter=sys.executable)
    spool.handler("slow", "sleep 0.3; cat", "concurrency = 2\n")


class Load:
    """Drops jobs at a rate and meddles with them, until it is stopped."""

    def __init__(self, spool):
        self.spool, self.stopping, self.dropped, self.removed = spool, False, {}, set()
        self.accepted = []
        self.threads = [threading.Thread(target=self.drop, daemon=True), threading.Thread(target=self.meddle, daemon=True)]
        for thread in self.threads:
            thread.start()

    def drop(self):
        begin, n = time.monotonic(), 0
        while not self.stopping:
            ahead = n / RATE - (time.monotonic() - begin)
            if ahead > 0:
                time.sleep(ahead)
            id_ = f"j{n:06}"
            if n % 97 == 5:
                data = b'{"type":"work","nonsense":1}'
            elif n % 61 == 7:
                data = json.dumps({"type": "work", "delay": "1h", "payload": {"n": n, "fails": 0, "fill": 0}}).encode()
            elif n % 120 == 3:
                data = json.dumps({"type": "slow", "payload": {"n": n}}).encode()
            else:
                data = json.dumps({"type": "work", "payload": {
                    "n": n, "fails": random.choice([0, 0, 1, 2]), "fill": random.choice([0, 0, 10, 6000])}}).encode()
            self.dropped[id_] = data
            self.spool.drop(id_, data)
            self.accepted.append(id_)
            n += 1

    def meddle(self):
        while not self.stopping:
            time.sleep(0.05)
            if len(self.accepted) < 200:
                continue
            some = random.sample(self.accepted[:-100], 3)
            verb = random.choice(["hold", "release", "requeue", "cancel", "purge"])
            if verb == "purge":
                self.removed.update(some)
            self.spool.ask({"do": verb, "jobs": some}, name=f"meddle{random.random()}")

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()


def original(text):
    """What the producer wrote, without the record."""
    job = json.loads(text)
    job.pop("jobspool", None)
    return job


def places(path):
    found = {}
    for state in STATES:
        for name in os.listdir(os.path.join(path, state)):
            if name.endswith(".json"):
                found.setdefault(name[:-5], []).append(state)
    return found


def judge(number, path, accepted, load):
    """The restored spool at rest."""
    found = places(path)
    missing = [id_ for id_ in accepted if id_ not in found and id_ not in load.removed]
    check(not missing, f"backup {number}: none of {len(accepted)} jobs is missing {missing[:5] or ''}")
    twice = {id_: states for id_, states in found.items() if len(states) > 1}
    check(not twice, f"backup {number}: none is there twice {dict(list(twice.items())[:5]) or ''}")
    spoilt = []
    for id_ in accepted:
        for state in found.get(id_, [])[:1]:
            with open(os.path.join(path, state, f"{id_}.json"), "rb") as file:
                text = file.read()
            dropped = load.dropped[id_]
            if b"nonsense" in dropped and state == "dead":
                continue
            try:
                if original(text) != json.loads(dropped):
                    spoilt.append((id_, state, text[:80]))
            except ValueError as error:
                spoilt.append((id_, state, str(error)))
    check(not spoilt, f"backup {number}: every one reads as it was dropped {spoilt[:3] or ''}")
    for words in (["fsck"], ["audit", "verify"]):
        done = jobspool(*words, "--spool", path, code=None)
        check(done.returncode == 0, f"backup {number}: {' '.join(words)} finds nothing: {done.stdout[:600]}{done.stderr[:300]}")
    return found


def run_to_the_end(number, path, found):
    """A daemon under another name, which would sort before the old one, on the restored spool."""
    restored = Spool(path=path, config='max_jobs = 16\nnode = "alpha"\n')
    books = path + ".books"
    with restored:
        restored.start()
        waiting = [id_ for id_, states in found.items() if states[0] in ("new", "cur")]

        def over():
            new = [name for name in os.listdir(restored.at("new"))]
            return not os.listdir(restored.at("cur")) and all(is_delayed(restored, name) for name in new)

        until(over, lambda: f"the restored queue is empty: {restored.count('new', 'cur')} left", every=0.1)
        same(restored.stop(), 0, f"backup {number}: the daemon stops in order")
    ran = set()
    if os.path.exists(books):
        with open(books) as file:
            ran = set(file.read().split())
    again = [id_ for id_ in ran if found.get(id_, [""])[0] in ("done", "dead", "hold")]
    check(not again, f"backup {number}: nothing that had ended ran again {again[:5] or ''}")
    check(bool(ran) or not waiting, f"backup {number}: what waited ran ({len(ran)} of {len(waiting)})")
    after = places(path)
    lost = [id_ for id_ in found if id_ not in after]
    check(not lost, f"backup {number}: all are there after it {lost[:5] or ''}")
    rejected = [id_ for id_, states in after.items() if found.get(id_) != ["dead"] and states[0] == "dead"
                and b'"outcome":"rejected"' in open(os.path.join(path, "dead", id_ + ".json"), "rb").read()
                and b"nonsense" not in load.dropped.get(id_, b"")]
    check(not rejected, f"backup {number}: no record was taken for a forged one {rejected[:5] or ''}")
    same(jobspool("fsck", "--spool", path, code=None).returncode, 0, f"backup {number}: fsck at the end")
    same(jobspool("audit", "verify", "--spool", path, code=None).returncode, 0, f"backup {number}: audit verify at the end")


def is_delayed(spool, name):
    try:
        with open(spool.at("new", name), "rb") as file:
            return b'"delay"' in file.read(4096)
    except FileNotFoundError:
        return True


remote_shell = os.path.join(scratch, "rsh")
with open(remote_shell, "w") as file:
    # As ssh does it: the first word is the host, the rest a command for a shell there.
    file.write('#!/bin/sh\n[ "$1" = vault ] || exit 99\nshift\nexec sh -c "$*"\n')
os.chmod(remote_shell, 0o755)

spool = Spool(path=os.path.join(scratch, "spool"))
fill(spool)
vault = os.path.join(scratch, "vault")
taken = []
with spool:
    spool.start()
    load = Load(spool)
    until(lambda: spool.count("done") > 300, "some jobs are done")
    for number in range(BACKUPS):
        time.sleep(SPAN)
        accepted = list(load.accepted)
        before = time.monotonic()
        if number == BACKUPS - 1:
            done = jobspool("backup", f"vault:{vault}-far", "--spool", spool.path, "--json",
                            env={"RSYNC_RSH": remote_shell})
        else:
            done = jobspool("backup", vault, "--spool", spool.path, "--json")
        took = time.monotonic() - before
        if done.returncode == 0:
            answer = json.loads(done.stdout)
            taken.append((number, answer["backup"].replace("vault:", ""), accepted))
            say(f"backup {number}: {answer['jobs']} files in {took:.1f} s, {answer['rounds']} rounds, "
                f"{len(load.accepted) - len(accepted)} jobs dropped meanwhile")
    load.stop()
    spool.stop()

same(len(taken), BACKUPS, "all backups were taken")
for number, generation, accepted in taken:
    path = os.path.join(scratch, f"restored-{number}")
    answer = jobspool("restore", generation, "--spool", path, "--json")
    if answer.returncode:
        continue
    told = json.loads(answer.stdout)
    say(f"restored {number}: {told['jobs']}, {told['crashed']} ran, {told['taken_up']} put right, "
        f"{told['doubled']} copied twice")
    run_to_the_end(number, path, judge(number, path, accepted, load))

finish()
