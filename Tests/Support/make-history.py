#!/usr/bin/env python3
"""Writes a spool with a realistic past: job files in done/ and dead/ and an audit log with a valid chain.

    make-history.py DIR [--jobs 1000000] [--days 30] [--seed 1] [--end RFC3339] [--no-files]

The past ends now (or at --end), so that today and the last hour have something to show. The same seed and end give the
same bytes. It only ever writes into a folder that is not there yet.
"""
import argparse
import datetime
import hashlib
import heapq
import json
import math
import os
import random
import sys

TYPES = [
    # name, share, median run in seconds, spread, tags, chance to fail an attempt, users' jobs
    ("send-email", 0.46, 0.18, 0.8, ["mail"], 0.015),
    ("thumbnail", 0.22, 1.1, 0.6, ["images", "batch"], 0.004),
    ("sync-order", 0.16, 2.4, 0.9, ["shop"], 0.03),
    ("invoice-pdf", 0.09, 4.0, 0.5, ["shop", "pdf"], 0.01),
    ("import-feed", 0.05, 35.0, 1.1, ["nightly"], 0.06),
    ("cleanup", 0.02, 9.0, 0.7, [], 0.002),
]
ERRORS = {
    "send-email": [("exit", "exit code 75: 421 4.7.0 try again later, session {hex}"),
                   ("smtp", "550 5.1.1 <user{n}@example.org>: Recipient address rejected")],
    "thumbnail": [("exit", "exit code 1: cannot decode /srv/images/{n}/{hex}.jpg")],
    "sync-order": [("http", "order {n}: the shop answered 502 after {n} ms"), ("timeout", "ran longer than 2m")],
    "invoice-pdf": [("exit", "exit code 2: invoice {n} has no address")],
    "import-feed": [("http", "feed {n}: 404 Not Found"), ("signal", "killed by signal 9")],
    "cleanup": [("exit", "exit code 1")],
}
USERS = [("www-data", 33), ("shop", 1001), ("cron", 1002), ("anna", 1003)]


def stamp(ms):
    seconds, rest = divmod(ms, 1000)
    day, second = divmod(seconds, 86400)
    if day not in stamp.days:
        stamp.days[day] = (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()
    return f"{stamp.days[day]}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{rest:03d}Z"


stamp.days = {}


class Log:
    """The audit log: lines in order of time, each with the hash of the one before."""

    def __init__(self, folder, node):
        self.folder, self.node = folder, node
        self.seq, self.prev, self.day, self.file = 0, "0" * 64, None, None

    def line(self, ms, body):
        ts = stamp(ms)
        if ts[:10] != self.day:
            if self.file:
                self.file.close()
            self.day = ts[:10]
            self.file = open(f"{self.folder}/audit-{self.node}-{self.day}.jsonl", "wb", buffering=1 << 20)
        self.seq += 1
        text = f'{{"ts":"{ts}","seq":{self.seq},{body},"prev":"{self.prev}"}}'.encode()
        self.prev = hashlib.sha256(text).hexdigest()
        self.file.write(text + b"\n")

    def close(self):
        if self.file:
            self.file.close()


def arrivals(rng, count, begin, end):
    """Times of arrival: more by day than by night, fewer at weekends."""
    times = []
    span = end - begin
    while len(times) < count:
        at = begin + rng.random() * span
        day = (at / 86400000) % 7
        hour = (at / 3600000) % 24
        weight = (0.35 + 0.65 * math.sin(math.pi * hour / 24) ** 2) * (0.6 if 2 <= day < 4 else 1)
        if rng.random() < weight:
            times.append(int(at))
    times.sort()
    return times


def uuid7(rng, ms):
    value = rng.getrandbits(74)
    a, b = value >> 62, value & ((1 << 62) - 1)
    text = f"{ms:012x}7{a:03x}{(0x8 << 60 | b):016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("dir")
    options.add_argument("--jobs", type=int, default=1000000)
    options.add_argument("--days", type=float, default=30)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--node", default="node-a")
    options.add_argument("--end", help="RFC 3339; now")
    options.add_argument("--no-files", action="store_true", help="the log alone")
    args = options.parse_args()
    end = datetime.datetime.now(datetime.timezone.utc)
    if args.end:
        end = datetime.datetime.fromisoformat(args.end.replace("Z", "+00:00"))
    end = int(end.timestamp() * 1000) - 60000
    os.mkdir(args.dir)
    for folder in ["tmp", "new", "cur", "done", "dead", "hold", "ctl", "log", "log/jobs", "handlers", "schedules"]:
        os.mkdir(f"{args.dir}/{folder}", 0o750)
    os.mkdir(f"{args.dir}/secret", 0o700)
    for name, *_ in TYPES:
        with open(f"{args.dir}/handlers/{name}.toml", "w") as file:
            file.write('command = ["/bin/true"]\nconcurrency = 4\n')
    rng = random.Random(args.seed)
    log = Log(f"{args.dir}/log", args.node)
    folders = {state: os.open(f"{args.dir}/{state}", os.O_RDONLY | os.O_DIRECTORY) for state in ("done", "dead")}
    waiting = []
    order = 0
    log.line(end - int(args.days * 86400000), '"event":"daemon_started","by":"daemon","version":"1.0.0","pid":1,"boot":"-"')
    names = [t[0] for t in TYPES]
    shares = [t[1] for t in TYPES]
    table = {t[0]: t for t in TYPES}

    def put(ms, body):
        nonlocal order
        order += 1
        heapq.heappush(waiting, (ms, order, body))

    for number, came in enumerate(arrivals(rng, args.jobs, end - int(args.days * 86400000), end - 120000)):
        while waiting and waiting[0][0] < came:
            ms, _, body = heapq.heappop(waiting)
            log.line(ms, body)
        kind = rng.choices(names, shares)[0]
        _, _, median, spread, tags, failing = table[kind]
        job = uuid7(rng, came)
        user, uid = rng.choice(USERS)
        head = f'"job":"{job}","type":"{kind}"'
        meta = f'{{"user":"user{rng.randrange(20000)}","order":{rng.randrange(10 ** 6)}}}' if rng.random() < 0.7 else None
        own = tags + (["vip"] if rng.random() < 0.03 else [])
        priority = 1 if "vip" in own else 5
        described = (f',"priority":{priority}' if priority != 5 else "")
        wish = described
        if kind == "import-feed":
            described += f',"batch":"feed-{stamp(came)[:10]}"'
            wish = described
        if own:
            described += f',"tags":{json.dumps(own, separators=(",", ":"))}'
        if meta:
            described += f',"meta":{meta}'
        wish = described
        put(came, f'"event":"submitted",{head},"to":"new","by":"{user}","uid":{uid},"submitted_at":"{stamp(came)}"{described}')
        text = f'{{"type":"{kind}","payload":{{"n":{number},"to":"user{rng.randrange(20000)}@example.org"}}{wish}'
        at = came
        attempts = []
        fate = rng.random()
        attempt = 0
        state = outcome = error = result = None
        while True:
            attempt += 1
            wait = int(rng.expovariate(1 / 40)) + 1
            if fate < 0.002:
                state, outcome = "dead", "cancelled"
                error = {"code": "cancelled", "message": "cancelled by anna (uid 1003)"}
                at += wait * 50
                event, extra = "cancelled", ""
                attempt = 0
                break
            start = at + wait
            put(start, f'"event":"claimed",{head},"from":"new","to":"cur","attempt":{attempt},"by":"daemon",'
                       f'"bytes":{len(text) + 2},"wait_us":{wait * 1000},"head":{len(text)}')
            run = max(1, int(median * math.exp(rng.gauss(0, spread)) * 1000))
            if kind == "import-feed":
                put(start + run // 3, f'"event":"stage",{head},"attempt":{attempt},"by":"daemon","stage":"parse"')
            stop = start + run
            entry = f'"n":{attempt},"started_at":"{stamp(start)}","ended_at":"{stamp(stop)}"'
            chance = failing if attempt == 1 else 0.45
            if rng.random() >= chance:
                attempts.append(f'{{{entry},"outcome":"done","exit":0,"peak_memory":{rng.randrange(9, 60) << 20},"cpu_ms":{run // 2}}}')
                state, outcome, event = "done", "done", "finished"
                result = f'{{"ok":true,"took_ms":{run}}}'
                error, at, extra = None, stop, f'"run_us":{run * 1000},'
                break
            code, message = rng.choice(ERRORS[kind])
            message = message.format(n=rng.randrange(100000), hex=f"{rng.getrandbits(64):016x}")
            error = {"code": code, "message": message}
            told = json.dumps(error, separators=(",", ":"))
            attempts.append(f'{{{entry},"outcome":"failed","exit":1,"error":{told},"peak_memory":20971520,"cpu_ms":{run // 2}}}')
            at, extra = stop, f'"run_us":{run * 1000},'
            if attempt == 5 or code == "smtp" or stop > end - 600000:
                state, outcome, event = "dead", "failed", "buried"
                break
            due = stop + 15000 * 2 ** (attempt - 1)
            record = (f'{{"id":"{job}","state":"new","submitted_at":"{stamp(came)}","submitted_by":{{"uid":{uid},"user":"{user}"}},'
                      f'"attempt":{attempt},"attempts":[{",".join(attempts)}],"run_at":"{stamp(due)}","error":{told},'
                      f'"updated_at":"{stamp(stop)}","node":"{args.node}"}}')
            put(stop, f'"event":"retried",{head},"from":"cur","to":"new","attempt":{attempt},"by":"daemon",{extra}'
                      f'"head":{len(text)},"record":{record}')
            at = due
        record = (f'{{"id":"{job}","state":"{state}","outcome":"{outcome}","submitted_at":"{stamp(came)}",'
                  f'"submitted_by":{{"uid":{uid},"user":"{user}"}},"attempt":{attempt},"attempts":[{",".join(attempts)}]'
                  + (f',"result":{result}' if result else "")
                  + (f',"error":{json.dumps(error, separators=(",", ":"))}' if error else "")
                  + f',"updated_at":"{stamp(at)}","finished_at":"{stamp(at)}","node":"{args.node}"}}')
        counted = f',"attempt":{attempt}' if attempt else ""
        put(at, f'"event":"{event}",{head},"from":"cur","to":"{state}"{counted},"by":"daemon",{extra}"head":{len(text)},"record":{record}')
        if not args.no_files:
            fd = os.open(f"{job}.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640, dir_fd=folders[state])
            os.write(fd, f'{text},"jobspool":{record}}}\n'.encode())
            os.utime(fd, ns=(at * 10 ** 6, at * 10 ** 6))
            os.close(fd)
    while waiting:
        ms, _, body = heapq.heappop(waiting)
        log.line(ms, body)
    log.line(max(end, ms), '"event":"daemon_stopped","by":"daemon"')
    log.close()
    print(f"{args.jobs} jobs, {log.seq} lines in {args.dir}", file=sys.stderr)


if __name__ == "__main__":
    main()
