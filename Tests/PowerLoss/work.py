"""Everybody who works on a recorded spool, and what each was told at which entry of the recording. Not executable: no test of
its own."""

import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "EndToEnd"))
from daemon import check, program, say  # noqa: E402
from web import KEY, token  # noqa: E402

SECONDS = float(os.environ.get("SECONDS", "8"))
SEED = int(os.environ.get("SEED", str(int(time.time()))))
CONTROL = os.environ.get("CONTROL", "")
WHO = os.environ.get("WHO", "recipe another sloppy submit group bulk brief api later again backup").split()
NOBODY = 65534
WAITING = "later-"  # ids of jobs that are not due for hours
AGAIN = "again-"  # of jobs that fail and are requeued
BRIEF = "brief-"  # of jobs that retention removes a second after their end

# Each run leaves a line outside of the disk, so that a second run of an announced end is seen.
EXEC = """#!/bin/sh
read -r job
echo "$JOBSPOOL_ID" >> "$BOOKS"
case $job in
  *'"fails": true'*) exit 65 ;;
  *'"flaky": true'*) [ "$JOBSPOOL_ATTEMPT" -gt 1 ] || exit 75 ;;
  *'"large": true'*) head -c 9000 /dev/zero | tr '\\0' y; exit 0 ;;
esac
echo "\\"$JOBSPOOL_ID\\""
"""
WORKER = """
import json, os, sys
books = os.open(os.environ["BOOKS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for line in sys.stdin:
    job = json.loads(line)
    os.write(books, (job["id"] + "\\n").encode())
    what = job["payload"]
    answer = {"id": job["id"], "ok": True, "result": "y" * 9000 if what.get("large") else job["id"]}
    if what.get("fails"):
        answer = {"id": job["id"], "ok": False, "error": "no", "retry": False}
    if what.get("flaky") and job["attempt"] <= 1:
        answer = {"id": job["id"], "ok": False, "error": "not yet", "retry_in": 0.05}
    print(json.dumps(answer), flush=True)
"""


def make_spool(root, folder):
    spool = f"{root}/spool"
    for name in ("new", "cur", "done", "dead", "hold", "ctl", "log/jobs", "handlers", "schedules", "secret", "tmp"):
        os.makedirs(f"{spool}/{name}")
    for name in ("tmp", "new"):
        # As in a system spool: producers of the group come in, and do not see what is there.
        os.chown(f"{spool}/{name}", 0, NOBODY)
        os.chmod(f"{spool}/{name}", 0o1730)
    with open(f"{spool}/secret/web.key", "w") as file:
        file.write(KEY.hex() + "\n")
    os.chmod(f"{spool}/secret/web.key", 0o600)
    with open(f"{folder}/exec.sh", "w") as file:
        file.write(EXEC)
    os.chmod(f"{folder}/exec.sh", 0o755)
    with open(f"{folder}/worker.py", "w") as file:
        file.write(WORKER)
    with open(f"{spool}/jobspool.toml", "w") as file:
        file.write('node = "disk"\nmin_free = "1M"\nmax_jobs = 8\nrescan = "1s"\n')
    rules = 'concurrency = 4\ndelays = ["20ms", "20ms", "20ms", "20ms"]\n'
    with open(f"{spool}/handlers/one.toml", "w") as file:
        file.write(f'command = ["{folder}/exec.sh"]\n{rules}')
    for name, more in (("many", ""), ("brief", 'retain = { done = "1s", dead = "1s" }\n')):
        with open(f"{spool}/handlers/{name}.toml", "w") as file:
            file.write(f'command = ["python3", "{folder}/worker.py"]\nmode = "worker"\nprocesses = 2\n{rules}{more}')
    os.sync()
    return spool


class Work:
    """Producers, operators and onlookers at work on a recorded disk; what each was told, and when."""

    def __init__(self, disk, folder):
        self.disk, self.folder = disk, folder
        self.spool = make_spool(disk.mount, folder)
        self.books = f"{folder}/books"
        self.accepted = {}  # id → (entry, job)
        self.times = {}  # id → when that was, before and after the entry's number was read (CLOCK_MONOTONIC, ns)
        self.sloppy = {}  # the same, of the producer that syncs nothing
        self.seen = {}  # id → (entry, state, bytes)
        self.told = {}  # id → (entry, state), by the API
        self.ordered = {}  # id → (entry, what an operator was told is done with it)
        self.backups = []  # (entry of the end, jobs accepted before the beginning)
        self.began = disk.seq()
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.trouble = []

    def preload(self, who):
        what, _, whose = CONTROL.partition(":")
        return {"LD_PRELOAD": f"{self.folder}/nosync.so", "NOSYNC": what} if whose == who else {}

    def job(self, random_):
        kind = random_.choice(["plain"] * 9 + ["flaky", "large", "fails"])
        payload = {"fill": "x" * random_.choice([10, 200, 3000, 9000])}
        if kind != "plain":
            payload[kind] = True
        return {"type": random_.choice(["one", "many", "many"]), "payload": payload}

    def accept(self, jobs, book=None):
        told = time.monotonic_ns()
        at = self.disk.seq()
        with self.lock:
            for id_, job in jobs.items():
                (self.accepted if book is None else book)[id_] = (at, job)
                self.times[id_] = (told, time.monotonic_ns())

    def moments(self):
        """Entries at which somebody was told something, by who it was: each kind is cut after as often as the others."""
        kinds = {}
        for id_, (entry, _) in self.accepted.items():
            kinds.setdefault(id_.split("-")[0], []).append(entry)
        kinds["seen"] = [entry for entry, _, _ in self.seen.values()]
        kinds["told"] = [entry for entry, _ in self.told.values()]
        kinds["ordered"] = [entry for entry, _ in self.ordered.values()]
        kinds["backup"] = [entry for entry, _ in self.backups]
        return {name: sorted(set(entries)) for name, entries in kinds.items() if entries}

    # Producers

    def drop(self, id_, job, syncs=True, uid=None):
        """The recipe: write, fsync, move, fsync the folder; on btrfs, as documented, sync the file system instead."""
        staged, final = f"{self.spool}/tmp/{id_}.json", f"{self.spool}/new/{id_}.json"
        fd = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(fd, json.dumps(job).encode() + b"\n")
        if uid is not None:
            os.fchown(fd, uid, uid)
        if syncs:
            os.fsync(fd)
        os.close(fd)
        os.rename(staged, final)
        if syncs:
            whole = ["-f"] if self.disk.kind == "btrfs" else []
            subprocess.run(["sync", *whole, f"{self.spool}/new"], check=True)

    def by_recipe(self, id_, random_):
        job = self.job(random_)
        self.drop(id_, job)
        self.accept({id_: job})
        time.sleep(random_.uniform(0, 0.03))

    def by_another(self, id_, random_):
        job = self.job(random_)
        self.drop(id_, job, uid=NOBODY)
        self.accept({id_: job})
        time.sleep(random_.uniform(0, 0.03))

    def by_sloppy(self, id_, random_):
        job = self.job(random_)
        # Noted before, so that a book of it exists whenever its end is seen.
        self.accept({id_: job}, self.sloppy)
        self.drop(id_, job, syncs=False)
        time.sleep(random_.uniform(0, 0.05))

    def jobspool(self, *arguments, text=None, who="submit", prefix=()):
        """The command line; what it said on stderr belongs to the trouble."""
        environment = dict(os.environ, **self.preload(who))
        done = subprocess.run(
            [*prefix, program("jobspool"), *arguments, "--spool", self.spool], input=text, text=True,
            capture_output=True, env=environment)
        if done.returncode:
            raise RuntimeError(f"{arguments[:4]} ended with {done.returncode}: {done.stderr[-500:]}")
        return done

    def submit(self, id_, job, *more, **options):
        self.jobspool(
            "submit", job["type"], "--id", id_, "--payload", json.dumps(job["payload"]), *more, **options)

    def by_submit(self, id_, random_):
        job = self.job(random_)
        self.submit(id_, job)
        self.accept({id_: job})
        time.sleep(random_.uniform(0, 0.05))

    def by_group(self, id_, random_):
        """A producer that may not read new/."""
        job = self.job(random_)
        self.submit(
            id_, job, who="group",
            prefix=("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"))
        self.accept({id_: job})
        time.sleep(random_.uniform(0, 0.1))

    def by_bulk(self, id_, random_):
        jobs = {f"{id_}.{number}": self.job(random_) for number in range(random_.choice([2, 20, 40]))}
        self.jobspool(
            "submit", "--bulk", "-", text="\n".join(json.dumps({"id": key, **job}) for key, job in jobs.items()))
        self.accept(jobs)
        time.sleep(random_.uniform(0.1, 0.4))

    def by_brief(self, id_, random_):
        job = {"type": "brief", "payload": {"fill": "x" * 100}}
        self.drop(id_, job)
        self.accept({id_: job})
        time.sleep(random_.uniform(0, 0.1))

    # By the API

    def call(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {token()}", "Content-Type": "application/json", **headers}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")
        finally:
            connection.close()

    def by_api(self, id_, random_):
        if random_.random() < 0.7:
            jobs = {id_: self.job(random_)}
            status, answer = self.call("POST", "/v1/jobs", {"id": id_, **jobs[id_]})
        else:
            jobs = {f"{id_}.{number}": self.job(random_) for number in range(8)}
            status, answer = self.call("POST", "/v1/jobs", [{"id": key, **job} for key, job in jobs.items()])
        if status != 202 or answer.get("refused"):
            raise RuntimeError(f"POST /v1/jobs: {status} {answer}")
        self.accept(jobs)
        time.sleep(random_.uniform(0, 0.05))

    def ask(self):
        """What the API announces: ends, newest first."""
        time.sleep(0.05)
        status, answer = self.call("GET", "/v1/jobs?state=done&state=dead&sort=finished&order=desc&limit=100")
        if status != 200:
            raise RuntimeError(f"GET /v1/jobs: {status} {answer}")
        at = self.disk.seq()
        for row in answer["jobs"]:
            if not row["id"].startswith((BRIEF, AGAIN, WAITING)):
                self.told.setdefault(row["id"], (at, row["state"]))

    # Operators

    def by_later(self, id_, random_):
        """Held or cancelled before it is due."""
        job = {"type": "one", "payload": {"fill": "x" * random_.choice([10, 3000])}}
        self.submit(id_, job, "--delay", "5h")
        self.accept({id_: job})
        verb, place = random_.choice([("hold", "hold"), ("cancel", "dead")])
        self.jobspool(verb, id_, who="operator")
        with self.lock:
            self.ordered[id_] = (self.disk.seq(), place)

    def by_again(self, id_, random_):
        """Fails, and is requeued: it has to run again."""
        job = {"type": "many", "payload": {"fails": True}}
        self.submit(id_, job)
        self.accept({id_: job})
        while not os.path.exists(f"{self.spool}/dead/{id_}.json"):
            if self.stop.is_set():
                return
            time.sleep(0.01)
        self.jobspool("requeue", id_, who="operator")
        with self.lock:
            self.ordered[id_] = (self.disk.seq(), "again")

    def back_up(self):
        with self.lock:
            before = [id_ for id_ in self.accepted if not id_.startswith(BRIEF)]
        self.jobspool("backup", f"{self.disk.mount}/backups", who="backup")
        self.backups.append((self.disk.seq(), before))
        self.stop.wait(0.5)

    # Onlookers

    def look(self):
        """What anybody can see: ends. First the look, then the number."""
        found = {}
        for state in ("done", "dead"):
            for name in os.listdir(f"{self.spool}/{state}"):
                id_ = name.removesuffix(".json")
                if not name.endswith(".json") or name.startswith((AGAIN, WAITING)):
                    continue
                if self.seen.get(id_, (0, ""))[1] != state:
                    with contextlib.suppress(FileNotFoundError), open(f"{self.spool}/{state}/{name}", "rb") as file:
                        found[id_] = (state, file.read())
        at = self.disk.seq()
        for id_, (state, data) in found.items():
            self.seen[id_] = (at, state, data)
        time.sleep(0.004)

    def producer(self, name, body):
        random_ = random.Random(f"{SEED} {name}")
        for number in range(1 << 30):
            if self.stop.is_set():
                return
            body(f"{name}-{number}", random_)

    def onlooker(self, body):
        while not self.stop.is_set():
            body()

    def watched(self, name, body, *arguments):
        def go():
            try:
                body(*arguments)
            except Exception as error:  # noqa: BLE001: a thread's trouble is the script's
                self.trouble.append(f"{name}: {error!r}")

        return threading.Thread(target=go, name=name)

    def start_programs(self):
        with open(f"{self.books}.err", "ab") as said, open(f"{self.books}.web", "ab") as web_said:
            self.daemon = subprocess.Popen(
                [program("jobspoold"), "--spool", self.spool, "--no-web"], stdin=subprocess.DEVNULL, stdout=said,
                stderr=said, env=dict(os.environ, BOOKS=self.books, **self.preload("daemon")))
            self.web = subprocess.Popen(
                [program("jobspool-web"), "--spool", self.spool, "--listen", "127.0.0.1:0"], stdin=subprocess.DEVNULL,
                stdout=web_said, stderr=web_said, env=dict(os.environ, **self.preload("web")))
        end = time.monotonic() + 60
        lines = []
        while not lines and time.monotonic() < end:
            time.sleep(0.02)
            with open(f"{self.books}.web") as file:
                lines = [line for line in file.read().splitlines() if " on http://" in line]
        if not lines:
            raise SystemExit("the web program does not listen")
        self.port = int(lines[-1].rsplit(":", 1)[1])

    def go(self):
        self.start_programs()
        threads = [
            self.watched("look", self.onlooker, self.look), self.watched("ask", self.onlooker, self.ask)]
        for name in WHO:
            if name == "backup":
                threads.append(self.watched(name, self.onlooker, self.back_up))
            else:
                threads.append(self.watched(name, self.producer, name, getattr(self, f"by_{name}")))
        for thread in threads:
            thread.start()
        time.sleep(SECONDS)
        self.stop.set()
        for thread in threads:
            thread.join()
        self.ended = self.disk.seq()
        for process in (self.daemon, self.web):
            process.send_signal(signal.SIGKILL)
            process.wait()
        check(not self.trouble, f"everybody worked to the end {self.trouble or ''}")
        say(
            f"{self.disk.kind}: {len(self.accepted)} jobs accepted, {len(self.seen)} ends seen, {len(self.ordered)} operator "
            f"requests, {len(self.backups)} backups, {self.ended - self.began} writes and flushes recorded")
