#!/usr/bin/env python3
"""Hours of a working day in one: mixed load with restarts and kills, while memory, descriptors, threads and files are sampled.

    SOAK=3600 Tests/Torture/soak.py       seconds of load; less is quicker, and less of a proof
    PLOT=FILE                             where the plot goes (soak.svg in $SCRATCH), SEED=N the same choices again

Another user drops files, `submit`, `--bulk` and the API accept jobs, some fail and are retried, wait for others, for a rate or
for a time, are cancelled, held, released and requeued; a schedule fires, backups are taken, retention removes what ended a
minute ago, and (with libfaketime) it becomes midnight in the middle, so that the log rotates. During the first half the daemon
is stopped and killed, the watcher and the web program are killed; during the second only those two, so that growth of the
daemon would show. At the end everything accepted has ended once, and the audit log verifies from its first line to its last."""

import glob
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "EndToEnd"))
from daemon import STATES, check, finish, program, same, say, scratch, until  # noqa: E402
from web import Web, token  # noqa: E402

SOAK = float(os.environ.get("SOAK", "3600"))
SEED = int(os.environ.get("SEED", str(int(time.time()))))
PLOT = os.environ.get("PLOT", os.path.join(scratch(), "soak.svg"))
SAMPLE = max(0.5, min(5, SOAK / 300))
NOBODY = 65534
random.seed(SEED)
print(f"SEED={SEED}", flush=True)

WORKER = r"""
import json, sys
for line in sys.stdin:
    job = json.loads(line)
    what = job["payload"]
    answer = {"id": job["id"], "ok": True, "result": "r" * what.get("fill", 0)}
    if job["attempt"] <= what.get("fails", 0):
        answer = {"id": job["id"], "ok": False, "error": {"code": "not_yet", "message": "not yet"}, "retry_in": "200ms"}
    print(json.dumps(answer), flush=True)
"""
FLAKY = r"""
read -r job
echo '{"stage":"one","progress":50}' >&3
echo "attempt $JOBSPOOL_ATTEMPT" >&2
case $job in *never*) exit 65 ;; esac
# Half of them, or the type would rest for failing on end.
case $JOBSPOOL_ID in *[02468]) [ "$JOBSPOOL_ATTEMPT" -gt 1 ] || exit 75 ;; esac
echo '{"fine":true}'
"""


def midnight():
    """What makes it midnight for the daemon half way through."""
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not found or os.environ.get("ROTATE") == "0":
        return None
    ahead = int(86400 - (time.time() + SOAK / 2) % 86400)
    return {"LD_PRELOAD": found[0], "FAKETIME": f"+{ahead}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


class Soak:
    def __init__(self, spool):
        self.spool = spool
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.accepted, self.meddled, self.trouble = {}, set(), []
        self.counts = dict.fromkeys(
            ("drops", "submits", "bulk", "api", "refused", "operator requests", "backups", "stops", "kills", "watcher kills",
             "web kills", "API reads"), 0)
        self.samples = []
        self.offset = 0
        self.environment = midnight()
        self.ahead = int(self.environment["FAKETIME"][1:-1]) if self.environment else 0
        self.threads = []

    def prepare(self):
        spool = self.spool
        os.chmod(spool.at("tmp"), 0o1777)
        os.chmod(spool.at("new"), 0o1777)
        spool.handler("quick", WORKER, 'mode = "worker"\nprocesses = 2\nconcurrency = 8\nmax_attempts = 4',
                      interpreter=sys.executable + " -S")
        spool.handler("flaky", FLAKY, 'concurrency = 3\ndelays = ["500ms", "1s"]')
        spool.handler("rated", "cat", 'concurrency = 4\nrate = { limit = 60, per = "10s" }')
        spool.handler("long", "sleep 0.5; cat", 'concurrency = 3\ngrace = "1s"\ntimeout = "20s"')
        spool.handler("tick", "cat", "concurrency = 1")
        spool.configure('cron = "*/5 * * * * *"\ntype = "tick"\npayload = { a = 1 }\n', "schedules/often.toml")

    def serve(self):
        environment = {**os.environ, **(self.environment or {})}
        self.spool.serve(env=environment, prefix=("/usr/bin/env",))

    # Load

    def note(self, ids, what):
        with self.lock:
            self.accepted.update(dict.fromkeys(ids, what))

    def job(self):
        kind = random.choice(["quick"] * 12 + ["flaky", "rated", "long"])
        payload = {"n": random.randrange(1000)}
        if kind == "quick":
            payload["fill"] = random.choice([0, 0, 100, 3000, 9000])
            payload["fails"] = random.choice([0] * 8 + [1, 2])
        if kind == "flaky" and random.random() < 0.3:
            payload["never"] = True
        job = {"type": kind, "payload": payload, "tags": ["soak"]}
        if random.random() < 0.05:
            job["delay"] = f"{random.randrange(1, 20)}s"
        return job

    def drops(self):
        number = 0
        while not self.stopping.wait(random.uniform(0, 0.08)):
            id_ = f"drop-{number}"
            number += 1
            staged = self.spool.at("tmp", f"{id_}.json")
            with open(staged, "w") as file:
                json.dump(self.job(), file)
            os.chown(staged, NOBODY, NOBODY)
            os.rename(staged, self.spool.at("new", f"{id_}.json"))
            self.note([id_], "drops")
            self.counts["drops"] += 1

    def command(self, *arguments, text=None, fine=(0,)):
        done = subprocess.run([program("jobspool"), *arguments, "--spool", self.spool.path], input=text, text=True,
                              capture_output=True, cwd="/", timeout=300)
        if done.returncode not in fine:
            self.trouble.append(f"{arguments[:3]} ended with {done.returncode}: {done.stderr[-300:]}")
        return done

    def submits(self):
        number, before = 0, None
        while not self.stopping.wait(random.uniform(0.2, 0.6)):
            number += 1
            job = self.job()
            id_ = f"submit-{number}"
            # Chains of ten; one that died takes the rest with it.
            more = ["--after", before, "--batch", f"b{number // 10}"] if number % 10 and before else []
            more += ["--delay", job["delay"]] if "delay" in job else []
            done = self.command("submit", job["type"], "--id", id_, "--payload", json.dumps(job["payload"]), *more)
            before = id_ if done.returncode == 0 else None
            if before:
                self.note([id_], "submits")
                self.counts["submits"] += 1
            if number % 20 == 0:
                jobs = {f"bulk-{number}.{n}": self.job() for n in range(50)}
                done = self.command("submit", "--bulk", "-",
                                    text="\n".join(json.dumps({"id": key, **job}) for key, job in jobs.items()))
                if done.returncode == 0:
                    self.note(jobs, "bulk")
                    self.counts["bulk"] += len(jobs)

    def bearer(self):
        return token(ttl=600 + self.ahead)

    def api(self):
        number = 0
        while not self.stopping.wait(random.uniform(0.05, 0.4)):
            number += 1
            id_ = f"api-{number}"
            try:
                answer = self.spool.post("/v1/jobs", {"id": id_, **self.job()}, token=self.bearer())
                if answer.status == 202:
                    self.note([id_], "api")
                    self.counts["api"] += 1
                elif answer.status == 409:
                    self.note([id_], "api")  # asked again after a lost answer
                else:
                    self.trouble.append(f"POST /v1/jobs: {answer.status} {answer.body[:200]}")
                path = random.choice(["/v1/queue", "/v1/stats", "/v1/jobs?limit=100", "/v1/dead", "/metrics",
                                      "/v1/jobs?state=dead&q=never", "/v1/schedules", f"/v1/jobs/{id_}"])
                answer = self.spool.get(path, token=self.bearer())
                self.counts["API reads"] += 1
                if answer.status >= 500 and answer.status != 503:
                    self.trouble.append(f"GET {path}: {answer.status} {answer.body[:200]}")
            except OSError:
                self.counts["refused"] += 1  # it was killed, and is started again

    def meddles(self):
        while not self.stopping.wait(random.uniform(0.3, 1.2)):
            with self.lock:
                some = random.sample(sorted(list(self.accepted)[-300:]), min(3, len(self.accepted)))
                self.meddled.update(some)
            verb = random.choice(["cancel", "hold", "requeue"])
            if some:
                # 66 gone or never there, 69 no daemon just now, 75 the lock is held, 1 some do not fit
                self.command(verb, *some, fine=(0, 1, 64, 65, 66, 69, 73, 75))
                self.counts["operator requests"] += 1
            held = [name.removesuffix(".json") for name in self.spool.names("hold")]
            if held:
                self.command("release", *held[:200], fine=(0, 1, 64, 66, 69, 75))

    def backups(self):
        while not self.stopping.wait(max(5, SOAK / 20)):
            done = self.command("backup", os.path.join(scratch(), "backups"), "--keep", "2", fine=(0, 75))
            self.counts["backups"] += done.returncode == 0

    # Trouble

    def children(self, name):
        """Processes of the daemon with this name."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/stat") as file:
                        text = file.read()
                except OSError:
                    continue
                if f"({name})" in text and int(text.rsplit(")", 1)[1].split()[1]) == self.spool.process.pid:
                    found.append(int(entry))
        return found

    def kill_child(self, name, count):
        for pid in self.children(name):
            os.kill(pid, signal.SIGKILL)
            self.counts[count] += 1

    def rough(self, first_half):
        what = random.choice(["stop", "kill", "watch", "web"] if first_half else ["watch", "web"])
        if what == "stop":
            same(self.spool.stop(), 0, "exit of the daemon after SIGTERM")
            self.counts["stops"] += 1
            self.serve()
        elif what == "kill":
            self.spool.process.kill()
            self.spool.process.wait()
            self.counts["kills"] += 1
            self.serve()
        elif what == "watch":
            self.kill_child("jobspool-watch", "watcher kills")
        else:
            mark = os.path.getsize(self.spool.log)
            self.kill_child("jobspool-web", "web kills")
            self.spool.find(mark)

    # Figures

    def figures(self, pid):
        with open(f"/proc/{pid}/status") as file:
            lines = dict(line.split(":", 1) for line in file)
        return {"rss": int(lines["VmRSS"].split()[0]) / 1024, "threads": int(lines["Threads"]),
                "fds": len(os.listdir(f"/proc/{pid}/fd"))}

    def sample(self, began):
        row = {"t": time.monotonic() - began}
        try:
            row["daemon"] = self.figures(self.spool.process.pid)
            for name in ("jobspool-watch", "jobspool-web"):
                for pid in self.children(name)[:1]:
                    row[name] = self.figures(pid)
        except (OSError, KeyError, AttributeError):
            pass
        row["files"] = {state: len(os.listdir(self.spool.at(state))) for state in STATES + ("tmp", "ctl", "log/jobs")}
        row["log"] = sum(os.path.getsize(path) for path in glob.glob(self.spool.at("log", "audit-*"))) / 2**20
        with self.lock:
            row["accepted"] = len(self.accepted)
        self.samples.append(row)

    def guarded(self, body):
        def go():
            while not self.stopping.is_set():
                try:
                    body()
                except Exception as error:  # noqa: BLE001: a thread's trouble is the script's
                    self.trouble.append(f"{body.__name__}: {error!r}")

        thread = threading.Thread(target=go)
        thread.start()
        return thread

    def run(self):
        self.serve()
        self.threads = [self.guarded(body) for body in (self.drops, self.submits, self.api, self.meddles, self.backups)]
        began = time.monotonic()
        due = began + SOAK / 24
        try:
            while (now := time.monotonic()) - began < SOAK:
                self.sample(began)
                if now > due:
                    due = now + SOAK / 24
                    self.rough(now - began < SOAK / 2)
                time.sleep(SAMPLE)
        finally:
            self.stopping.set()
            for thread in self.threads:
                thread.join()

    def rest(self):
        """Everything ends: whatever is held is let go."""
        self.spool.configure("enabled = false\ncron = \"*/5 * * * * *\"\ntype = \"tick\"\n", "schedules/often.toml")

        def at_rest():
            held = [name.removesuffix(".json") for name in self.spool.names("hold")]
            if held:
                self.command("release", *held[:500], fine=(0, 1, 66))
            return not self.spool.count("new", "cur", "hold")

        until(at_rest, lambda: f"rest; there are {[(state, self.spool.count(state)) for state in STATES]}", 240, every=0.5)

    # Verdict

    def judge(self):
        events = self.spool.audit()
        lives = {}
        for event in events:
            if "job" in event:
                lives.setdefault(event["job"], []).append(event["event"])
        ends = {"finished", "buried", "rejected", "expired", "cancelled"}
        wrong = []
        again = 0
        for id_ in self.accepted:
            life = [name for name in lives.get(id_, []) if name not in ("stage", "stalled", "recovered")]
            last = [name for name in life if name != "purged"][-1:]
            if not last or last[0] not in ends:
                wrong.append(f"{id_} ends in {life[-4:]}")
            ended = False
            for name in life:
                if name == "claimed" and ended:
                    wrong.append(f"{id_} ran after its end: {life}")
                    break
                ended = (ended or name in ends) and name != "requeued"
            if id_ not in self.meddled and sum(name in ends for name in life) != 1:
                wrong.append(f"{id_} ended {sum(name in ends for name in life)} times: {life}")
            again += life.count("requeued")
        for text in wrong[:5]:
            print("      " + text)
        same(len(wrong), 0, f"jobs of {len(self.accepted)} that did not end once")
        check(not self.trouble, f"no command and no request met trouble ({len(self.trouble)}) {self.trouble[:4] or ''}")
        done = self.command("audit", "verify")
        check(done.returncode == 0, f"the audit log verifies: {done.stdout.strip()[-200:]}")
        days = glob.glob(self.spool.at("log", "audit-*.jsonl"))
        if self.environment:
            check(len(days) > 1, f"the log was rotated: {sorted(map(os.path.basename, days))}")
        names = {}
        for event in events:
            names[event["event"]] = names.get(event["event"], 0) + 1
        say(f"{len(self.accepted)} jobs accepted, {len(events)} audit lines: {names}")
        say(f"{self.counts}")

    def flat(self):
        third = [row for row in self.samples if SOAK / 2 < row["t"] <= SOAK * 3 / 4]
        last = [row for row in self.samples if row["t"] > SOAK * 3 / 4]
        if min(len(third), len(last)) < 30:
            # A program started again a moment ago is still growing, and may be in no sample of a window at all.
            for program_ in ("daemon", "jobspool-watch", "jobspool-web"):
                rows = [row[program_] for row in self.samples if program_ in row]
                check(rows, f"{program_} was seen at work")
                say(f"{program_}: {rows[-1] if rows else 'no sample'}; too few samples to judge growth")
            return
        made = (last[-1]["accepted"] - third[0]["accepted"]) if last and third else 0

        def median(rows, program_, key):
            values = [row[program_][key] for row in rows if program_ in row]
            return statistics.median(values) if values else 0

        for program_ in ("daemon", "jobspool-watch", "jobspool-web"):
            for key, room in (("rss", 4), ("fds", 4), ("threads", 2)):
                before, after = median(third, program_, key), median(last, program_, key)
                most = max((row[program_][key] for row in self.samples if program_ in row), default=0)
                # The web program keeps a row of each job of the last weeks in memory.
                room_ = room + (made * 600 / 2**20 if (program_, key) == ("jobspool-web", "rss") else 0)
                check(after <= before * 1.1 + room_, f"{program_}: {key} is flat in the second half: {before:.1f}, then {after:.1f}")
                say(f"{program_} {key}: {before:.1f} in the third quarter, {after:.1f} in the last, {most:.1f} at most")
        for state in ("done", "dead", "log/jobs", "tmp", "ctl"):
            before = statistics.median([row["files"][state] for row in third] or [0])
            after = statistics.median([row["files"][state] for row in last] or [0])
            check(after <= before * 1.3 + 30, f"files in {state} are bounded: {before:.0f}, then {after:.0f}")

    def plot(self):
        panels = [
            ("memory of the daemon, MB", [("daemon", lambda r: r["daemon"]["rss"])]),
            ("memory of the web program, MB", [("web", lambda r: r["jobspool-web"]["rss"])]),
            ("descriptors", [("daemon", lambda r: r["daemon"]["fds"]), ("web", lambda r: r["jobspool-web"]["fds"])]),
            ("threads", [("daemon", lambda r: r["daemon"]["threads"]), ("web", lambda r: r["jobspool-web"]["threads"])]),
            ("files", [(state, lambda r, state=state: r["files"][state]) for state in ("new", "done", "dead", "log/jobs")]),
            ("audit log, MB, and jobs accepted, thousands",
             [("log", lambda r: r["log"]), ("jobs", lambda r: r["accepted"] / 1000)]),
        ]
        colours = ("#2563eb", "#dc2626", "#16a34a", "#9333ea")
        width, height, out = 860, 130, []
        for index, (title, lines) in enumerate(panels):
            top = 30 + index * (height + 50)
            series = []
            for name, get in lines:
                points = []
                for row in self.samples:
                    try:
                        points.append((row["t"], get(row)))
                    except KeyError:
                        pass
                series.append((name, points))
            most = max([value for _, points in series for _, value in points] + [1]) * 1.05
            out.append(f'<text x="50" y="{top - 6}" font-weight="bold">{title}</text>')
            out.append(f'<rect x="50" y="{top}" width="{width}" height="{height}" fill="none" stroke="#ccc"/>')
            out.append(f'<text x="46" y="{top + 10}" text-anchor="end">{most:.0f}</text>'
                       f'<text x="46" y="{top + height}" text-anchor="end">0</text>')
            for number, (name, points) in enumerate(series):
                path = " ".join(f"{50 + t / SOAK * width:.1f},{top + height - value / most * height:.1f}" for t, value in points)
                out.append(f'<polyline points="{path}" fill="none" stroke="{colours[number]}" stroke-width="1.2"/>')
                out.append(f'<text x="{250 + 90 * number + 180}" y="{top - 6}" fill="{colours[number]}">{name}</text>')
            out.append(f'<text x="{50 + width}" y="{top + height + 14}" text-anchor="end">{SOAK / 60:.0f} min</text>')
        total = 30 + len(panels) * (height + 50)
        with open(PLOT, "w") as file:
            file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + 80}" height="{total}" font-family="sans-serif" '
                       f'font-size="11"><rect width="100%" height="100%" fill="white"/>{"".join(out)}</svg>\n')
        say(f"the plot of {len(self.samples)} samples is in {os.path.basename(PLOT)}")


config = 'max_jobs = 12\nrescan = "2s"\nmin_free = "16M"\n[retain]\ndone = "60s"\ndead = "90s"'
with Web(config=config) as spool:
    soak = Soak(spool)
    soak.prepare()
    try:
        soak.run()
        soak.rest()
        same(spool.stop(), 0, "exit")
    finally:
        soak.plot()
    soak.judge()
    soak.flat()
finish()
