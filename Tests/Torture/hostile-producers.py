#!/usr/bin/env python3
"""What a user of the producers' group may try, with the rights that the Debian package gives him: files swapped between the
daemon's looks, leases, names no one expects, folders full of garbage, requests without end, traps where the daemon makes its
copies. Other producers' jobs run on meanwhile, nobody's job is touched but his own, and the daemon starts again over what he left.
SHORT=1 does less of the same; ATTACKS="large requests" makes only these."""

import fcntl
import json
import mmap
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "EndToEnd"))

from daemon import check, finish, same, say, until
from people import ANNA, BERT, DAEMON, Shared, as_user, begin_as, end_of, needed

# Some of the jobs have a number with 900,000 digits, and are read again here.
sys.set_int_max_str_digits(0)
SHORT = os.environ.get("SHORT") == "1"
# Seconds a job of somebody else may take while an attack is on: a figure, unless LATENCY makes it a limit (for a release build
# on a machine at rest). That it ends at all, and long before what attacks it, is asked for in any case.
PATIENT = float(os.environ.get("LATENCY", "0"))


def put(spool, id_, job, folder="new", suffix=".json"):
    """The producer protocol, as whoever runs it."""
    data = job if isinstance(job, bytes) else json.dumps(job).encode()
    staged = spool.at("tmp", f"put-{os.getpid()}-{time.monotonic_ns()}")
    file = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    os.write(file, data)
    os.close(file)
    os.rename(staged, spool.at(folder, id_ + suffix))


class Passers:
    """Somebody else's jobs: how long they take while an attack is on."""
    number = 0

    @classmethod
    def go(cls, spool, during, count=3):
        worst = 0
        for _ in range(count):
            cls.number += 1
            id_ = f"good-{cls.number}"
            began = time.monotonic()
            end_of(begin_as(BERT, put, spool, id_, {"type": "echo"}))
            spool.wait(id_)
            worst = max(worst, time.monotonic() - began)
        say(f"another producer's jobs during {during}: {worst * 1000:.0f} ms at most")
        if PATIENT:
            check(worst < PATIENT, f"that is less than the {PATIENT:g} s of LATENCY")


def swaps(spool):
    """A file is replaced by others all the while it is looked at, claimed and run: what runs is one of them, whole."""
    kinds = ("job", "other", "link", "fifo", "folder", "broken", "nothing")
    rounds = 300 if SHORT else 4000

    def swap():
        for number in range(rounds):
            for turn in range(6):
                kind = kinds[(number + turn * number) % len(kinds)]
                staged, place = spool.at("tmp", "swap"), spool.at("new", f"swap-{number}.json")
                try:
                    if kind == "nothing":
                        os.unlink(place)
                        continue
                    if kind in ("job", "other", "broken"):
                        text = {"job": '{"type":"echo","payload":"A"}', "other": '{"type":"echo","payload":"B"}', "broken": "{"}[kind]
                        with open(staged, "w") as file:
                            file.write(text)
                    elif kind == "link":
                        os.symlink("/etc/shadow", staged)
                    elif kind == "fifo":
                        os.mkfifo(staged)
                    else:
                        os.mkdir(staged)
                    os.rename(staged, place)
                except (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError):
                    pass
                for left in (os.unlink, os.rmdir):
                    try:
                        left(staged)
                    except OSError:
                        pass
            try:
                os.rmdir(place)
            except OSError:
                pass

    attack = begin_as(ANNA, swap)
    Passers.go(spool, f"{rounds} swaps", 5)
    same(end_of(attack), 0, "who swaps")
    until(lambda: not [name for name in spool.names("new") + spool.names("cur") if name.startswith("swap-")],
          lambda: f"what was swapped comes to rest: {spool.names('new')[:5]} {spool.names('cur')[:5]}", every=0.1)
    wrong, ran = [], 0
    for name in spool.names("done"):
        if name.startswith("swap-"):
            ran += 1
            job = spool.job("done", name[:-5])
            if job.get("payload") not in ("A", "B") or os.stat(spool.at("done", name)).st_uid != DAEMON:
                wrong.append(job)
    same(wrong[:2], [], f"jobs of {ran} that ran which are not one of the two")
    for name in spool.names("dead"):
        path = spool.at("dead", name)
        if os.path.isfile(path) and not os.path.islink(path):
            with open(path, "rb") as file:
                if b"root:" in file.read():
                    check(False, f"{path} holds what a link led to")
    say(f"{rounds} files swapped, {ran} of them ran")


def held_open(spool):
    """Through an open descriptor or a mapping nothing of an accepted job changes any more."""
    def write_on():
        held = []
        for number in range(100 if SHORT else 1000):
            path = spool.at("tmp", f"held-{number}")
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
            os.write(file, b'{"type":"echo","payload":"AAAAAAAA"}')
            os.rename(path, spool.at("new", f"held-{number}.json"))
            held.append((file, mmap.mmap(file, 0)))
            for other, mapping in held[-20:]:
                mapping[26:34] = b"BBBBBBBB"
                os.pwrite(other, b"CCCC", 26)
        # Still there when all of them are done; before, it may be that very text that is claimed.
        until(lambda: all(os.path.exists(spool.at("done", f"held-{number}.json")) for number in range(len(held))), "all run", 300, 0.2)
        for file, mapping in held:
            mapping[0:8] = b"garbage!"

    as_user(ANNA, write_on)
    until(lambda: not [n for n in spool.names("new") + spool.names("cur") if n.startswith("held-")], "they come to rest")
    wrong = []
    for state in ("done", "dead"):
        for name in spool.names(state):
            if name.startswith("held-") and name.endswith(".json"):
                job = spool.job(state, name[:-5])
                if state == "dead" or job["jobspool"]["result"]["payload"] != job["payload"]:
                    wrong.append((name, job))
    same(wrong[:2], [], "jobs whose file says another thing than their handler was told")


def leases(spool):
    """fcntl(F_SETLEASE) makes others' open(2) fail or wait."""
    def hold():
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        files = []
        for folder, job in (("new", '{"type":"echo","priority":0}'), ("ctl", '{"do":"cancel","jobs":["x"]}')):
            for number in range(10):
                path = spool.at("tmp", f"lease-{folder}-{number}")
                file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
                os.write(file, job.encode())
                fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
                os.rename(path, spool.at(folder, f"lease-{number}.json"))
                files.append(file)
        end = time.monotonic() + (4 if SHORT else 60)
        while time.monotonic() < end:
            time.sleep(0.01)
            for file in files:
                try:
                    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
                except OSError:
                    pass

    attack = begin_as(ANNA, hold)
    time.sleep(1)
    Passers.go(spool, "leases", 5)
    same({code: text for code, text in spool.alerts().items() if code == "system"}, {}, "alerts that a lease raises")
    same(end_of(attack), 0, "who holds leases")
    for number in range(10):
        spool.wait(f"lease-{number}")


def names(spool):
    """Any bytes that a name may have: nothing of it gets into a log or a terminal, and no line is made up."""
    def make():
        folder = os.open(spool.at("new"), os.O_PATH)
        for number in range(50):
            for name in (b"a\nnew hers.json", b"x\noverflow", b"\xff\xfe%d.json" % number, b"\x1b[31m%d" % number, b'q"%d\\' % number,
                         b"\xc3\x28%d" % number, "\u202e%d.json".encode() % number, b"y" * 250 + b"%d" % number, b"a" * 129 + b".json",
                         b"..json", b"...", b".hidden%d" % number, b"-rf", b" %d" % number, b"new x.json", b"\x01", b"%%n%%s%d" % number):
                try:
                    os.close(os.open(name, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o640, dir_fd=folder))
                except FileExistsError:
                    pass
        time.sleep(1.5)

    mark = len(spool.said())
    as_user(ANNA, make)
    Passers.go(spool, "odd names")
    for name in os.listdir(os.fsencode(spool.at("new"))):
        os.unlink(os.path.join(os.fsencode(spool.at("new")), name))
    until(lambda: not [code for code in spool.alerts() if code.startswith("odd_name")], "the alerts about them go")
    said = spool.said(mark)
    same([byte for byte in said if byte < 32 and byte != 10 or byte == 127][:5], [], "control characters in the daemon's log")
    check("\u202e" not in said.decode(errors="replace"), "nor one that turns the writing round")
    with open(spool.at("status.json"), "rb") as file:
        same([byte for byte in file.read().strip() if byte < 32][:5], [], "control characters in status.json")


def garbage(spool):
    """Files that are no jobs, any number of them, under names that are and that are none."""
    count = 20_000 if SHORT else 1_000_000
    before = spool.resident()[0]

    def fill():
        folder = os.open(spool.at("new"), os.O_PATH)
        for number in range(count):
            os.close(os.open(f"garbage {number}", os.O_CREAT | os.O_WRONLY, 0o640, dir_fd=folder))

    def clear():
        folder = os.open(spool.at("new"), os.O_PATH)
        for number in range(count):
            os.unlink(f"garbage {number}", dir_fd=folder)

    attack = begin_as(ANNA, fill)
    Passers.go(spool, f"{count} files that are no jobs, as they come")
    end_of(attack)
    Passers.go(spool, f"{count} files that are no jobs, as they lie there", 5)
    now = spool.resident()[0]
    check(now < before + (40 << 20), f"memory with {count} of them: {now >> 20} MB, {before >> 20} before")
    end_of(begin_as(ANNA, clear))

    bad = 2000 if SHORT else 50_000

    def flood():
        folder = os.open(spool.at("new"), os.O_PATH)
        for number in range(bad):
            os.close(os.open(f"empty-{number}.json", os.O_CREAT | os.O_WRONLY, 0o640, dir_fd=folder))

    attack = begin_as(ANNA, flood)
    Passers.go(spool, f"{bad} empty jobs", 5)
    end_of(attack)
    now = spool.resident()[0]
    check(now < before + (40 << 20), f"memory then: {now >> 20} MB")
    until(lambda: not [n for n in spool.names("new") if n.startswith("empty")], "they are refused", 600, every=0.2)


def large(spool):
    """50 MB, 100,000 levels, numbers without end, the same key again and again; a thousand unknown parents."""
    def send():
        deep = b'{"type":"echo","payload":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        for number in range(3 if SHORT else 30):
            put(spool, f"large-{number}", b'{"type":"echo","payload":"' + b"x" * (50 << 20) + b'"}')
            put(spool, f"deep-{number}", deep)
            put(spool, f"number-{number}", b'{"type":"echo","priority":1e999999}')
            put(spool, f"digits-{number}", b'{"type":"echo","delay":' + b"9" * 900_000 + b"}")
            put(spool, f"far-{number}", b'{"type":"echo","delay":1e308}')
            put(spool, f"twice-{number}", b'{"type":"echo",' + b'"type":"echo",' * 50_000 + b'"v":1}')
            put(spool, f"keys-{number}", b'{"type":"echo",' + b",".join(b'"k%d":1' % n for n in range(80_000)) + b"}")
            put(spool, f"parents-{number}", {"type": "echo", "after": [f"nobody-{number}-{n}" for n in range(1000)]})
            put(spool, f"tags-{number}", {"type": "echo", "tags": ["t" * 1000] * 900})
            put(spool, f"digits-in-{number}", b'{"type":"checked","payload":{"n":1' + b"0" * 900_000 + b"}}")
            put(spool, f"unique-{number}", json.dumps({"type": "checked", "payload": {"a": list(range(140_000))}}).encode())
            put(spool, f"pattern-{number}", json.dumps({"type": "checked", "payload": {"s": "a" * 900_000 + "b"}}).encode())

    before = spool.resident()[0]
    attack = begin_as(ANNA, send)
    Passers.go(spool, "large and deep jobs", 8)
    same(end_of(attack), 0, "who sends them")
    same(spool.wait("large-0", "dead", 600).get("error", {}).get("code"), "too_large", "50 MB")
    same(spool.wait("deep-0", "dead", 600).get("error", {}).get("code"), "bad_json", "100,000 levels")
    for kind in ("number", "digits", "twice", "keys"):
        check(spool.wait(f"{kind}-0", "dead", 600).get("outcome") == "rejected", f"{kind} is refused")
    now = spool.resident()[0]
    check(now < before + (120 << 20), f"memory then: {now >> 20} MB, {before >> 20} before")


def requests(spool):
    """ctl/: what a producer may ask is little, and however often he asks, jobs have their turn."""
    end_of(begin_as(BERT, put, spool, "berts-held", {"type": "echo", "run_at": "2099-01-01T00:00:00Z"}))
    until(lambda: spool.states("berts-held") == ["new"] and spool.type("echo").get("scheduled", 0) >= 1, "it waits")
    os.rename(spool.at("new", "berts-held.json"), spool.at("hold", "berts-held.json"))
    before = [spool.read("done", "berts"), spool.read("hold", "berts-held")]

    def ask(number, job, many=1):
        put(spool, f".ask-{number}", {"do": "cancel", "jobs": [job] * many}, "tmp")
        os.rename(spool.at("tmp", f".ask-{number}.json"), spool.at("ctl", f"ask-{number}.json"))

    def steal():
        # A file of his under the name of another's job, and at once the wish to cancel that.
        for number in range(100 if SHORT else 2000):
            job = ("berts", "berts-held")[number % 2]
            ask(number, job, 20)
            put(spool, job, {"type": "echo", "payload": number})
            time.sleep(0.005)

    as_user(ANNA, steal)
    # Others wait in new/ for parents that never come.
    until(lambda: not [n for n in spool.names("ctl") if n.endswith(".json")]
          and not {"berts.json", "berts-held.json"} & set(spool.names("new")),
          lambda: f"they are answered: {len(spool.names('ctl'))} in ctl/, in new/ {spool.names('new')[:5]}", 180)
    Passers.go(spool, "thefts")
    same(spool.states("berts"), ["done"], "where somebody's finished job lies")
    same(spool.states("berts-held"), ["hold"], "where somebody's held job lies")
    same([spool.read("done", "berts"), spool.read("hold", "berts-held")] == before, True, "and both are as they were")
    lines = [event["event"] for id_ in ("berts", "berts-held") for event in spool.events(id_)]
    same([line for line in lines if line in ("cancelled", "buried", "released")], [], "ends of theirs in the log")

    def flood():
        for number in range(3 if SHORT else 20):
            ask(f"flood-{number}", "berts", 100_000)
        for number in range(300 if SHORT else 5000):
            ask(f"more-{number}", "berts", 900)
        for number in range(1000 if SHORT else 30_000):
            os.mkdir(spool.at("ctl", f"folder-{number}.json"))

    mark = len(spool.said())
    attack = begin_as(ANNA, flood)
    time.sleep(0.3)
    Passers.go(spool, "a flood of requests", 5)
    began = time.monotonic()
    answer = spool.ask({"do": "cancel", "jobs": ["nobody"]}, name="zz-operator")
    check(answer.get("ok"), "an operator's request meanwhile is answered")
    say(f"that took {time.monotonic() - began:.2f} s")
    same(end_of(attack), 0, "who asks")
    until(lambda: not [n for n in spool.names("ctl") if n.startswith("ask-") and n.endswith(".json")],
          lambda: f"all are answered: {len(spool.names('ctl'))}", 1800, every=0.5)

    def others():
        ctl = spool.at("ctl")
        os.symlink("/etc/hostname", os.path.join(ctl, "pause"))
        os.mkdir(os.path.join(ctl, "pause-schedules"))
        os.mkfifo(os.path.join(ctl, "disabled.nightly"))
        for verb in ("requeue", "hold", "release", "purge", "edit", "reload", "pause", "run-schedule", "disable"):
            put(spool, f"verb-{verb}", {"do": verb, "jobs": ["berts"], "job": "berts", "text": "{}", "all": True, "subject": "root"}, "ctl")
        put(spool, "deep", b'{"do":' + b"[" * 200_000, "ctl")

    as_user(ANNA, others)
    until(lambda: not [n for n in spool.names("ctl") if n.startswith("verb-") and n.endswith(".json")], "they are answered")
    for verb in ("requeue", "hold", "release", "purge"):
        with open(spool.at("ctl", f"verb-{verb}.reply")) as file:
            same([one["code"] for one in json.load(file)["results"]], ["denied"], f"{verb} by a producer")
    for verb in ("edit", "reload", "pause", "run-schedule", "disable"):
        with open(spool.at("ctl", f"verb-{verb}.reply")) as file:
            same(json.load(file)["code"], "denied", f"{verb} by a producer")
    mark = len(spool.said())
    spool.ask({"do": "cancel", "jobs": ["nobody"]}, name="zz-look")
    same(spool.said(mark).count(b"pause-schedules"), 0, "remarks about a directory in ctl/ that was refused before")
    check(not spool.status().get("paused"), "a link to a file of root's pauses nothing")
    Passers.go(spool, "what is left of it")
    same(spool.states("berts"), ["done"], "where somebody's finished job lies")


def forged(spool):
    """Records that nobody wrote, of other people's jobs and made up."""
    record = spool.record("done", "berts")

    def send():
        for number in range(200 if SHORT else 5000):
            put(spool, f"forged-{number}", {"type": "echo", "jobspool": dict(record, id=f"forged-{number}", state="new", submitted_by={"uid": 0, "user": "root"})})
        put(spool, "notify", {"type": "jobspool.notify", "payload": {"notify": 0}})
        put(spool, "subject", {"type": "echo", "jobspool": {"submitted_by": {"subject": "root"}}})
        put(spool, "parent", {"type": "echo", "parent": "berts", "batch": "berts", "meta": {"submitted_by": "root"}})

    attack = begin_as(ANNA, send)
    Passers.go(spool, "forged records")
    same(end_of(attack), 0, "who forges")
    until(lambda: not [n for n in spool.names("new") + spool.names("cur") if n.startswith("forged")], "they come to rest", 300)
    ran = [n for n in spool.names("done") if n.startswith("forged")]
    same(ran[:3], [], "forged records that were believed")
    same(spool.wait("notify", "dead").get("outcome"), "rejected", "a notice of his own")
    # The subject is the web program's to say; from others it counts for nothing.
    until(lambda: spool.states("subject") in (["done"], ["dead"]), "it comes to rest")
    by = spool.record(spool.states("subject")[0], "subject").get("submitted_by", {})
    same((by.get("uid"), by.get("subject")), (ANNA, None), "whose job it is that says it is root's")
    same(spool.wait("parent").get("submitted_by", {}).get("uid"), ANNA, "whose child of another's job it is")


def traps(spool):
    """Under the names of the daemon's own copies in tmp/ lies what is none, and it starts again."""
    def lay():
        for name in (".edit.berts", ".edit.x", ".adopt.trapped", ".bare.trapped", ".edit.", ".edit.a\nb", "put", ".rename-check.x"):
            os.mkdir(spool.at("tmp", name))
        os.symlink("/etc/shadow", spool.at("tmp", ".edit.link"))
        os.mkfifo(spool.at("tmp", ".edit.fifo"))
        with open(spool.at("tmp", ".edit.file"), "w") as file:
            file.write('{"type":"echo"}')
        for number in range(300 if SHORT else 20_000):
            os.close(os.open(spool.at("tmp", f".edit.many-{number}"), os.O_CREAT | os.O_WRONLY, 0o640))

    as_user(ANNA, lay)
    end_of(begin_as(BERT, put, spool, "trapped", {"type": "echo"}))
    spool.wait("trapped")
    same(spool.stop(), 0, "exit")
    began = time.monotonic()
    spool.begin()
    say(f"it starts over them in {time.monotonic() - began:.2f} s")
    Passers.go(spool, "traps")
    for name in spool.names("tmp"):
        path = spool.at("tmp", name)
        os.rmdir(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)


needed()
with Shared(config='max_jobs = 4\nrescan = "1s"') as spool:
    spool.handler("echo", "cat", "concurrency = 4")
    spool.handler("checked", "echo 1", 'concurrency = 4\nschema = "checked.schema.json"')
    spool.configure(json.dumps({"properties": {"a": {"uniqueItems": True}, "n": {"multipleOf": 7}, "s": {"pattern": "^(a+)+$"}}}),
                    "handlers/checked.schema.json")
    spool.open_up()
    spool.begin()
    pid = spool.process.pid
    Passers.go(spool, "nothing")
    end_of(begin_as(BERT, put, spool, "berts", {"type": "echo"}))
    spool.wait("berts")
    with open("/etc/shadow") as file:
        secrets = os.stat(file.fileno()).st_atime
    for attack in (swaps, held_open, leases, names, garbage, large, requests, forged):
        if attack.__name__ not in os.environ.get("ATTACKS", attack.__name__).split():
            continue
        began = time.monotonic()
        attack(spool)
        say(f"{attack.__name__}: {time.monotonic() - began:.1f} s, {spool.resident()[0] >> 20} MB")
    same((spool.process.pid, spool.process.poll()), (pid, None), "the daemon is the one that was started")
    traps(spool)
    same(os.stat("/etc/shadow").st_atime, secrets, "when what his links led to was last read")
    same(spool.stop(), 0, "exit")
    # In hold/ lies what was moved there by hand, which is its producer's still.
    for state in ("cur", "done", "dead"):
        owners = {os.lstat(spool.at(state, name)).st_uid for name in spool.names(state) if name.endswith(".json")}
        check(owners <= {DAEMON, 0}, f"what lies in {state}/ belongs to the daemon: {owners}")
    for name in spool.names("ctl"):
        path = spool.at("ctl", name)
        os.rmdir(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
    spool.verify()
finish()
