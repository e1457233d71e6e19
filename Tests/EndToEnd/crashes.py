#!/usr/bin/env python3
"""kill -9 of every program while the others work: the daemon, the watcher, the web program, handlers, and `submit` in the
middle of it, at random moments and (with strace) at each system call that changes something. Nothing accepted is lost, no job
runs beside itself or after its end, and the log's chain holds.

ROUNDS (24) kills, SEED what is random, POINTS (6) how many calls of each kind are tried as the last one."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

from daemon import Spool, check, finish, marked, program, same, say, until
from web import Web

ROUNDS = int(os.environ.get("ROUNDS", "24"))
POINTS = int(os.environ.get("POINTS", "3"))
SEED = int(os.environ.get("SEED", str(int(time.time()))))
print(f"SEED={SEED}", flush=True)
random.seed(SEED)

WORKER = r"""
import fcntl, json, os, sys
spool = os.environ["JOBSPOOL_DIR"]
books = os.open(spool + "/../books", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
for line in sys.stdin:
    job = json.loads(line)
    lock = os.open(spool + "/../locks/" + job["id"], os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.write(books, f"BESIDE {job['id']}\n".encode())
    os.write(books, f"run {job['id']}\n".encode())
    print(json.dumps({"id": job["id"], "ok": True, "result": "r" * job["payload"].get("fill", 0)}), flush=True)
    os.close(lock)
"""
EXEC = r"""
read -r job
exec 9> "$JOBSPOOL_DIR/../locks/$JOBSPOOL_ID"
# Only the lock itself counts: the round may have killed this very flock.
flock -n -E 99 9
[ $? -ne 99 ] || echo "BESIDE $JOBSPOOL_ID" >> "$JOBSPOOL_DIR/../books"
echo "run $JOBSPOOL_ID" >> "$JOBSPOOL_DIR/../books"
echo '{"stage":"one"}' >&3
sleep 0.05
echo '"fine"'
"""


class Load:
    """Producers of every kind; who is told yes is written down."""

    def __init__(self, spool):
        self.spool, self.accepted, self.cut, self.trouble = spool, {}, 0, []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=body, daemon=True) for body in (self.drops, self.submits, self.posts)]
        for thread in self.threads:
            thread.start()

    def job(self):
        return {"type": random.choice(["many", "many", "one"]), "payload": {"fill": random.choice([0, 100, 9000])}}

    def drops(self):
        number = 0
        while not self.stopping.wait(random.uniform(0, 0.1)):
            number += 1
            job = self.job()
            self.spool.drop(f"drop-{number}", job)
            self.accepted[f"drop-{number}"] = job

    def submits(self):
        """Half of them are killed at some moment; what had not said yes may be there or not, but whole."""
        number = 0
        while not self.stopping.is_set():
            number += 1
            id_, job = f"submit-{number}", self.job()
            bulk = number % 5 == 0
            jobs = {f"{id_}.{n}": self.job() for n in range(20)} if bulk else {id_: job}
            command = [program("jobspool"), "submit", "--spool", self.spool.path]
            command += ["--bulk", "-"] if bulk else [job["type"], "--id", id_, "--payload", json.dumps(job["payload"])]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            kill = random.random() < 0.5
            timer = threading.Timer(random.uniform(0.0, 0.06), process.kill) if kill else None
            if timer:
                timer.start()
            text = "\n".join(json.dumps({"id": key, **one}) for key, one in jobs.items()) if bulk else ""
            _, said = process.communicate(text.encode())
            if timer:
                timer.cancel()
            if process.returncode == 0:
                self.accepted.update(jobs)
            elif process.returncode == -signal.SIGKILL:
                self.cut += 1
            else:
                self.trouble.append(f"{command[1:5]} ended with {process.returncode}: {said[-300:]!r}")

    def posts(self):
        number = 0
        while not self.stopping.wait(random.uniform(0, 0.15)):
            number += 1
            id_, job = f"post-{number}", self.job()
            try:
                answer = self.spool.post("/v1/jobs", {"id": id_, **job}, timeout=5)
            except (OSError, TypeError):
                continue  # it was killed
            if answer.status in (202, 409):
                self.accepted[id_] = job
            elif answer.status != 503:
                self.trouble.append(f"POST: {answer.status} {answer.body[:200]}")

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def children(spool, name):
    found = []
    with open(f"/proc/{spool.process.pid}/task/{spool.process.pid}/children") as file:
        for pid in map(int, file.read().split()):
            try:
                with open(f"/proc/{pid}/comm") as comm:
                    if comm.read().strip() == name[:15]:
                        found.append(pid)
            except OSError:
                pass
    return found


def kill_all(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return len(pids)


def judge(spool, accepted, trouble):
    same(trouble, [], "trouble of those who were not killed")
    # What a killed submit staged stays until the sweep, after 36 hours.
    for name in os.listdir(spool.at("tmp")):
        if name.startswith((".submit-", ".job-")):
            os.unlink(spool.at("tmp", name))
    events = spool.verify()
    lives = {}
    for event in events:
        if "job" in event:
            lives.setdefault(event["job"], []).append(event["event"])
    wrong = []
    for id_, job in accepted.items():
        if spool.states(id_) != ["done"]:
            wrong.append(f"{id_} is in {spool.states(id_)}")
            continue
        data = spool.job("done", id_)
        if data["payload"] != job["payload"]:
            wrong.append(f"{id_} has another payload")
        expected = "r" * job["payload"]["fill"] if job["type"] == "many" else "fine"
        if (data["jobspool"].get("result") or "") != expected:
            wrong.append(f"{id_} has another result: {str(data['jobspool'].get('result'))[:80]}")
        life = lives.get(id_, [])
        if life.count("finished") != 1 or "claimed" in life[life.index("finished"):]:
            wrong.append(f"{id_} lived {life}")
    for text in wrong[:5]:
        print("      " + text)
    same(len(wrong), 0, f"jobs of {len(accepted)} that are not as they should be")
    with open(spool.at("..", "books")) as file:
        beside = [line for line in file if line.startswith("BESIDE")]
    same(beside, [], "runs beside each other")


settings = 'concurrency = 4\nmax_attempts = 1000\nbackoff = { base = "20ms", factor = 1.0 }\ngrace = "1s"'
with Web(config='max_jobs = 10\nrescan = "1s"') as spool:
    os.mkdir(spool.at("..", "locks"))
    spool.handler("many", WORKER, f'mode = "worker"\nprocesses = 2\n{settings}', interpreter=sys.executable + " -S")
    spool.handler("one", EXEC, settings)
    spool.serve()
    load = Load(spool)
    kills = dict.fromkeys(("daemon", "watcher", "web", "handlers"), 0)
    for round_ in range(ROUNDS):
        time.sleep(random.choice([0, 0.02, 0.1, 0.2]) * random.random())
        what = random.choice(["daemon", "daemon", "watcher", "web", "handlers"])
        if what == "daemon":
            spool.process.kill()
            spool.process.wait()
            kills[what] += 1
            if random.random() < 0.3:
                time.sleep(0.1)
            spool.serve()
        elif what == "watcher":
            kills[what] += kill_all(children(spool, "jobspool-watch"))
        elif what == "web":
            kills[what] += kill_all(children(spool, "jobspool-web"))
        else:
            own = set(children(spool, "jobspool-watch") + children(spool, "jobspool-web"))
            pids = [pid for pid in marked(Spool.mark(spool)) if pid not in own]
            kills[what] += kill_all(random.sample(pids, min(2, len(pids))))
    load.stop()
    # Four at a time, a twentieth of a second each: what producers of a fast machine left takes its time.
    patience = 180 + spool.count("new", "cur") / 20
    until(
        lambda: not spool.count("new", "cur"), lambda: f"rest; there are {spool.count('new', 'cur')}", patience, every=0.05)
    same(spool.stop(), 0, "exit of the daemon")
    judge(spool, load.accepted, load.trouble)
    say(f"{ROUNDS} rounds, killed: {kills}, and {load.cut} submits; {len(load.accepted)} jobs accepted (SEED={SEED})")

# At chosen points: the n-th call of each kind is the last thing the program does.
if not shutil.which("strace"):
    print("strace is not installed: no chosen points")
    finish()
CALLS = ("renameat2", "fdatasync", "pwrite64", "write", "openat", "unlinkat", "ftruncate", "fsync", "syncfs")
with Web("chosen", config='max_jobs = 10\nrescan = "1s"') as spool:
    os.makedirs(spool.at("..", "locks"), exist_ok=True)
    open(spool.at("..", "books"), "w").close()
    spool.handler("many", WORKER, f'mode = "worker"\nprocesses = 2\n{settings}', interpreter=sys.executable + " -S")
    spool.handler("one", EXEC, settings)
    accepted, died, number = {}, 0, 0
    for call in CALLS:
        for point in sorted(random.sample(range(1, 40), POINTS)):
            for _ in range(12):
                number += 1
                job = {"type": random.choice(["many", "one"]), "payload": {"fill": random.choice([0, 100, 9000])}}
                spool.drop(f"job-{number}", job)
                accepted[f"job-{number}"] = job
            mark = os.path.getsize(spool.log) if os.path.exists(spool.log) else 0
            # -D: strace is the child, so that the daemon is ours to wait for; handlers are not followed.
            spool.start("--no-web", ready=False, prefix=(
                "strace", "-D", "-f", "-qq", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={point}",
                "-e", "signal=none", "-o", "/dev/null"))
            end = time.monotonic() + 8
            while spool.process.poll() is None and time.monotonic() < end and spool.count("new", "cur"):
                time.sleep(0.01)
            died += spool.process.poll() == -signal.SIGKILL
            if spool.process.poll() is None:
                spool.process.kill()
            spool.process.wait()
            spool.stderr.close()
            spool.process = None
    # And the producer.
    cut = 0
    for call in ("openat", "pwrite64", "write", "fsync", "renameat2", "syncfs"):
        for point in range(1, 4 if call != "openat" else 2):
            for bulk in (False, True):
                number += 1
                jobs = {f"job-{number}.{n}": {"type": "many", "payload": {"fill": 10}} for n in range(4 if bulk else 1)}
                first = next(iter(jobs))
                arguments = ["--bulk", "-"] if bulk else ["many", "--id", first, "--payload", '{"fill":10}']
                done = subprocess.run(
                    ["strace", "-f", "-qq", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={point}",
                     "-P", spool.at("tmp"), "-P", spool.at("new"), "-o", "/dev/null",
                     program("jobspool"), "submit", "--spool", spool.path, *arguments],
                    input="\n".join(json.dumps({"id": key, **job}) for key, job in jobs.items()), text=True,
                    capture_output=True)
                if done.returncode == 0:
                    accepted.update(jobs)
                else:
                    cut += 1
    spool.start("--no-web")
    until(lambda: not spool.count("new", "cur"), "rest", 60, every=0.05)
    same(spool.stop(), 0, "exit of the daemon")
    check(died > 0, f"the daemon died at chosen calls: {died} times")
    judge(spool, accepted, [])
    say(f"the daemon killed within {died} chosen calls, submit within {cut}; {len(accepted)} jobs accepted")
finish()
