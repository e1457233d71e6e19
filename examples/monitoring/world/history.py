#!/usr/bin/env python3
"""Writes a month of finished analyses into a spool: files in done/ and dead/, and an audit log whose chain verifies.

    history.py SPOOL DATABASE [JOBS [SEED]]

DATABASE (SQLite) gets the same jobs as rows, so that what the API says can be judged by another program over the same facts:
jobs(id, type, name, user_id, user_name, email, priority, created, updated, completed, status, attempts, parent, ran),
times in milliseconds, `ran` its last attempt; and runs(ended, ms), one for each attempt.
"""

import heapq
import importlib.machinery
import json
import math
import os
import random
import sqlite3
import sys
import time
import uuid

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
past = importlib.machinery.SourceFileLoader("past", os.path.join(TOP, "Tests", "Support", "make-history.py")).load_module()
stamp = past.stamp

NODE, DAYS, UID = "monitor", 30, 1001
KINDS = [("interview", 0.5, 40), ("survey", 0.3, 12), ("document", 0.2, 5)]
PLACES = ["Kyoto", "Bergen", "Porto", "Quito", "Lagos", "Hanoi", "Turin", "Perth", "Oulu", "Leeds"]
FIRST = ["Anna", "Bat-Erdene", "Chloé", "Dmitri", "Eszter", "Fatima", "Goran", "Hana", "Ines", "Jörg"]
LAST = ["Berger", "Ganbold", "Novák", "Okafor", "Pereira", "Sato", "Tanaka", "Virtanen"]
ERRORS = [("ENOENT", "no such file: {n}.txt"), ("MODEL", "the model answered 503 after {n} ms"), ("TIMEOUT", "ran longer than 10m")]
WORDS = ["time", "work", "home", "city", "school", "river", "music", "market", "winter", "family", "train", "garden"]


def people(rng, count):
    """Id, name and address of each."""
    found = []
    for n in range(count):
        name = f"{rng.choice(FIRST)} {rng.choice(LAST)}"
        found.append((str(uuid.UUID(int=rng.getrandbits(128), version=4)), name, f"user{n}@example.org"))
    return found


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class Month:
    def __init__(self, spool, database, count, seed):
        self.rng, self.spool, self.count = random.Random(seed), spool, count
        self.log = past.Log(os.path.join(spool, "log"), NODE)
        self.folders = {state: os.open(os.path.join(spool, state), os.O_RDONLY | os.O_DIRECTORY) for state in ("done", "dead")}
        self.waiting, self.order = [], 0
        self.end = int(time.time() * 1000) - 60_000
        self.begin = self.end - DAYS * 86_400_000
        self.people = people(self.rng, 500)
        self.db = sqlite3.connect(database)
        self.db.executescript("""
            PRAGMA synchronous = OFF;
            CREATE TABLE jobs (id TEXT PRIMARY KEY, type TEXT, name TEXT, user_id TEXT, user_name TEXT, email TEXT, priority INTEGER,
                               created INTEGER, updated INTEGER, completed INTEGER, status TEXT, attempts INTEGER, parent TEXT,
                               ran INTEGER);
            CREATE TABLE runs (ended INTEGER, ms INTEGER);""")
        self.jobs, self.runs = [], []

    def put(self, ms, **fields):
        """A line of the log at that time; they are written in order once nothing earlier can come."""
        self.order += 1
        heapq.heappush(self.waiting, (ms, self.order, compact(fields)[1:-1]))

    def flush(self, until=math.inf):
        while self.waiting and self.waiting[0][0] < until:
            ms, _, body = heapq.heappop(self.waiting)
            self.log.line(ms, body)

    def write(self):
        self.log.line(self.begin, '"event":"daemon_started","by":"daemon","version":"1.0.0","pid":1,"boot":"-"')
        # A tenth has a report beside it, a job of its own.
        for number, came in enumerate(past.arrivals(self.rng, self.count * 10 // 11, self.begin, self.end - 240_000)):
            self.flush(came)
            self.job(number, came)
            if number % 10_000 == 0:
                self.store()
        self.flush()
        self.log.line(self.end, '"event":"daemon_stopped","by":"daemon"')
        self.log.close()
        self.store()
        self.db.execute("CREATE INDEX by_user ON jobs (user_id)")
        self.db.commit()
        print(f"{self.total()} jobs, {self.log.seq} lines of the log")

    def total(self):
        return self.db.execute("SELECT count(*) FROM jobs").fetchone()[0]

    def store(self):
        self.db.executemany(f"INSERT INTO jobs VALUES ({', '.join('?' * 14)})", self.jobs)
        self.db.executemany("INSERT INTO runs VALUES (?, ?)", self.runs)
        self.jobs, self.runs = [], []

    def job(self, number, came):
        rng = self.rng
        kind, _, median = rng.choices(KINDS, [share for _, share, _ in KINDS])[0]
        user = rng.choice(self.people)
        name = f"{kind.title()} {rng.choice(PLACES)} {number}"
        priority = 1 if rng.random() < 0.03 else 5
        payload = {"userId": user[0], "document": f"{number}.txt", "kind": kind}
        id_, ended, status = self.life("analyse", came, name, user, priority, payload, median, self.result)
        if status == "completed" and number % 10 == 0 and ended + 60_000 < self.end:
            self.life("export-report", ended, name, user, 5, {"of": id_, "score": 1, "words": 900}, 0.2,
                      lambda id_, *_: f"{id_}.csv", parent=id_)

    def result(self, id_, payload, attempt):
        """As bin/analyse.mjs answers."""
        rng = self.rng
        words, score = rng.randrange(100, 9000), rng.randrange(-20, 20)
        topics = [{"kind": "topic", "word": word, "count": rng.randrange(2, 90)} for word in rng.sample(WORDS, 5)]
        return {"summary": {"words": words, "score": score, "verdict": "hopeful" if score > 0 else "gloomy" if score < 0 else "neutral"},
                "metadata": {**payload, "attempt": attempt}, "records": topics}

    def life(self, type_, came, name, user, priority, payload, median, result, parent=None):
        """One job from its submission to its end: id, end and status."""
        rng = self.rng
        id_ = past.uuid7(rng, came)
        head = {"job": id_, "type": type_}
        meta = {"name": name, "userId": user[0], "userName": user[1], "userEmail": user[2]}
        wish = {**({"priority": priority} if priority != 5 else {}), **({"parent": parent} if parent else {}), "meta": meta}
        text = compact({"type": type_, "payload": payload, **wish})[:-1]
        owner = {"uid": UID, "user": "analysis"}
        length = len(text.encode())
        self.put(came, event="submitted", **head, to="new", by="analysis", uid=UID, submitted_at=stamp(came), **wish)
        at, attempts, attempt, run, extra = came, [], 0, 0, {}
        record = lambda state, **more: {"id": id_, "state": state, "submitted_at": stamp(came), "submitted_by": owner, "attempt": attempt,
                                        "attempts": attempts, **more, "updated_at": stamp(at), "node": NODE}
        fate = rng.random()
        while True:
            wait = int(rng.expovariate(1 / 40)) + 1
            if fate < 0.004:
                at, state, status, event, origin = at + wait * 50, "dead", "cancelled", "cancelled", "new"
                more = {"outcome": "cancelled", "error": {"code": "cancelled", "message": "cancelled by anna (uid 1003)"}}
                break
            attempt += 1
            start = at + wait
            self.put(start, event="claimed", **head, **{"from": "new"}, to="cur", attempt=attempt, by="daemon", bytes=length + 2,
                     wait_us=wait * 1000, head=length)
            run = min(170_000, max(5, int(median * math.exp(rng.gauss(0, 0.5)) * 1000)))
            at = min(start + run, self.end - 1)
            run = at - start
            self.runs.append((at, run))
            entry = {"n": attempt, "started_at": stamp(start), "ended_at": stamp(at)}
            extra, origin = {"run_us": run * 1000, "head": length}, "cur"
            if rng.random() >= (0.03 if attempt == 1 else 0.5):
                attempts.append({**entry, "outcome": "done", "exit": 0, "cpu_ms": run // 2})
                state, status, event = "done", "completed", "finished"
                more = {"outcome": "done", "result": result(id_, payload, attempt)}
                break
            code, message = rng.choice(ERRORS)
            error = {"code": code, "message": message.format(n=rng.randrange(100_000))}
            attempts.append({**entry, "outcome": "failed", "exit": 1, "error": error, "cpu_ms": run // 2})
            if attempt == 3 or at > self.end - 400_000:
                state, status, event, more = "dead", "failed", "buried", {"outcome": "failed", "error": error}
                break
            due = at + (5000, 15000)[attempt - 1]
            self.put(at, event="retried", **head, **{"from": "cur"}, to="new", attempt=attempt, by="daemon", **extra,
                     record=record("new", run_at=stamp(due), error=error))
            at = due
        done = record(state, **more, finished_at=stamp(at))
        self.put(at, event=event, **head, **{"from": origin}, to=state, **({"attempt": attempt} if attempt else {}), by="daemon",
                 **(extra or {"head": length}), record=done)
        descriptor = os.open(f"{id_}.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640, dir_fd=self.folders[state])
        os.write(descriptor, f'{text},"jobspool":{compact(done)}}}\n'.encode())
        os.utime(descriptor, ns=(at * 10 ** 6, at * 10 ** 6))
        os.close(descriptor)
        self.jobs.append((id_, type_, name, *user, priority, came, at, at, status, attempt, parent, run))
        return id_, at, status


if __name__ == "__main__":
    Month(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 20_000,
          int(sys.argv[4]) if len(sys.argv) > 4 else 1).write()
