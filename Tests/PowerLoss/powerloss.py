#!/usr/bin/env python3
"""Power cuts, at block level: real programs on a real file system whose every write and flush is recorded; then the disk
as it would be, had the power gone at a chosen moment, is mounted, the real daemon is started on it, and what had been
promised until that moment is asked for.

    powerloss.py [FILESYSTEM…]      ext4 xfs btrfs; those that can be made here
    IMAGES=50                       cut disks for each file system, a quarter of each kind (see blockreplay.c)
    SECONDS=8                       how long work goes on while it is recorded
    CONTROL=WHAT:WHO                nothing of WHAT is synced (see nosync.c) by WHO, submit or daemon; losses must show
    SEED=N, KEEP=1                  the same cuts again; leave the recording in $SCRATCH

Promised are: a job whose producer was told that it is accepted is there, whole, and comes to its end; an end that was
visible in done/ or dead/ stays as it was, and its job is not run again; log and spool can be read. Producers are the
recipe of the documents (own user and another), `submit`, `submit --bulk`, `submit` by a user who may not read new/, as in a
system spool, and one that syncs nothing: its jobs may be lost, but not once their end was to be seen. Handlers are exec and worker; some fail and are retried, some have
results that are too large for the audit log.

Needs root, FUSE, loop devices and a C compiler; without them it is skipped."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "EndToEnd"))
from daemon import check, failures, finish, program, say, scratch, skip  # noqa: E402

IMAGES = int(os.environ.get("IMAGES", "50"))
SECONDS = float(os.environ.get("SECONDS", "8"))
SEED = int(os.environ.get("SEED", str(int(time.time()))))
CONTROL = os.environ.get("CONTROL", "")
SIZES = {"ext4": "192M", "xfs": "320M", "btrfs": "256M"}
MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"],
    "xfs": ["mkfs.xfs", "-q", "-K"],
    "btrfs": ["mkfs.btrfs", "-q", "-K"],
}
# A daemon of another suite may keep an earlier cut of the same disk mounted in its namespace, which XFS would object to.
CUT_OPTIONS = {"xfs": "loop,nouuid"}
KINDS = ("flush", "rand", "torn", "all")

# Each run leaves a line outside of the disk, so that a second run of an announced end is seen.
EXEC = """#!/bin/sh
read -r job
echo "$JOBSPOOL_ID" >> "$BOOKS"
case $job in
  *'"fails": true'*) exit 65 ;;
  *'"flaky": true'*) [ "$JOBSPOOL_ATTEMPT" -gt 2 ] || exit 75 ;;
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
    if what.get("flaky") and job["attempt"] <= 2:
        answer = {"id": job["id"], "ok": False, "error": "not yet", "retry_in": 0.05}
    print(json.dumps(answer), flush=True)
"""


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


def unmount(folder, *command):
    """Handlers of a killed daemon may have their last moments in it, and the kernel lets go of a loop device in its time."""
    command = command or ("umount",)
    for _ in range(500):
        if subprocess.run([*command, folder], stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(0.02)
    run(*command, folder)


def build(folder):
    """The three small C programs, beside the recording."""
    for tool in ("cc", "pkg-config", "losetup", "fusermount3", "unshare"):
        if not shutil.which(tool):
            skip(f"{tool} is not installed (Debian: gcc pkg-config mount fuse3 libfuse3-dev util-linux)")
    if subprocess.run(["pkg-config", "--exists", "fuse3"]).returncode:
        skip("libfuse3-dev is not installed")
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse") or not os.path.exists("/dev/loop-control"):
        skip("power cuts need root, /dev/fuse and loop devices")
    flags = run("pkg-config", "--cflags", "--libs", "fuse3").stdout.split()
    run("cc", "-O2", "-o", f"{folder}/blockrecord", f"{HERE}/blockrecord.c", *flags)
    run("cc", "-O2", "-o", f"{folder}/blockreplay", f"{HERE}/blockreplay.c")
    run("cc", "-O2", "-shared", "-fPIC", "-o", f"{folder}/nosync.so", f"{HERE}/nosync.c", "-ldl")


class Disk:
    """A file system on a recorded disk."""

    def __init__(self, kind, folder, tools):
        self.kind, self.folder, self.tools = kind, folder, tools
        self.image, self.base, self.log = f"{folder}/image", f"{folder}/base", f"{folder}/log"
        self.mount, self.fuse = f"{folder}/mnt", f"{folder}/fuse"
        for path in (self.mount, self.fuse):
            os.makedirs(path, exist_ok=True)
        run("truncate", "-s", SIZES[kind], self.image)
        run(*MAKE[kind], self.image)
        run("cp", "--sparse=always", self.image, self.base)

    def __enter__(self):
        self.recorder = subprocess.Popen(
            [f"{self.tools}/blockrecord", self.image, self.log, self.fuse],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not os.path.exists(f"{self.fuse}/disk"):
            if time.monotonic() > end or self.recorder.poll() is not None:
                skip("FUSE file systems cannot be mounted here")
            time.sleep(0.01)
        self.loop = run("losetup", "-f", "--show", f"{self.fuse}/disk").stdout.strip()
        try:
            run("mount", self.loop, self.mount)
        except subprocess.CalledProcessError as error:
            self.close(mounted=False)
            skip(f"{self.kind} cannot be mounted here: {error.stdout}")
        return self

    def __exit__(self, *error):
        self.close()

    def close(self, mounted=True):
        if mounted:
            unmount(self.mount)
        run("losetup", "-d", self.loop)
        unmount(self.fuse, "fusermount3", "-u")
        self.recorder.wait(30)

    def seq(self):
        with open(f"{self.fuse}/seq") as file:
            return int(file.read())

    @contextlib.contextmanager
    def cut(self, at, how, seed):
        """The disk after a power cut, mounted; None, and what mount said, when it cannot be."""
        image = f"{self.folder}/cut"
        run("cp", "--sparse=always", self.base, image)
        run(f"{self.tools}/blockreplay", image, self.log, str(at), how, str(seed))
        options = CUT_OPTIONS.get(self.kind, "loop")
        mounted = subprocess.run(["mount", "-o", options, image, self.mount], capture_output=True, text=True)
        try:
            yield self.mount if mounted.returncode == 0 else None, mounted.stderr.strip()
        finally:
            if mounted.returncode == 0:
                unmount(self.mount)
            os.unlink(image)


def make_spool(root, folder):
    spool = f"{root}/spool"
    for name in ("new", "cur", "done", "dead", "hold", "ctl", "log/jobs", "handlers", "schedules", "tmp"):
        os.makedirs(f"{spool}/{name}")
    # As producers of a system spool find them: to write into, not to read. So they cannot fsync the folder.
    for name in ("tmp", "new"):
        os.chmod(f"{spool}/{name}", 0o1733)
    # That user has to get there.
    for path in (os.path.dirname(folder), folder, root, spool):
        os.chmod(path, 0o755)
    with open(f"{folder}/exec.sh", "w") as file:
        file.write(EXEC)
    os.chmod(f"{folder}/exec.sh", 0o755)
    with open(f"{folder}/worker.py", "w") as file:
        file.write(WORKER)
    with open(f"{spool}/jobspool.toml", "w") as file:
        file.write('node = "disk"\nmin_free = "1M"\nmax_jobs = 8\n')
    rules = 'concurrency = 4\ndelays = ["20ms", "20ms", "20ms", "20ms"]\n'
    with open(f"{spool}/handlers/one.toml", "w") as file:
        file.write(f'command = ["{folder}/exec.sh"]\n{rules}')
    with open(f"{spool}/handlers/many.toml", "w") as file:
        file.write(f'command = ["python3", "{folder}/worker.py"]\nmode = "worker"\nprocesses = 2\n{rules}')
    os.sync()
    return spool


def start_daemon(spool, books, boot=None, preload=None):
    """Under another boot id, when one is given: it is how a daemon knows that the machine itself went down."""
    environment = dict(os.environ, BOOKS=books, **(preload or {}))
    command = [program("jobspoold"), "--spool", spool, "--no-web"]
    if boot:
        with open(f"{books}.boot", "w") as file:
            file.write(boot + "\n")
        mounted = f'mount --bind "{books}.boot" /proc/sys/kernel/random/boot_id && exec "$@"'
        command = ["unshare", "-m", "sh", "-c", mounted, "sh"] + command
    with open(f"{books}.err", "ab") as said:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment)


class Work:
    """Producers and an onlooker at work on a recorded disk; what each was told, and when."""

    def __init__(self, disk, folder):
        self.disk, self.folder = disk, folder
        self.spool = make_spool(disk.mount, folder)
        self.accepted = {}  # id → (entry, job)
        self.sloppy = {}  # the same, of the producer that syncs nothing
        self.seen = {}  # id → (entry, state, bytes)
        self.began = disk.seq()
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.trouble = []

    def preload(self, who):
        what, _, whose = CONTROL.partition(":")
        return {"LD_PRELOAD": f"{self.folder}/nosync.so", "NOSYNC": what} if whose == who else {}

    def job(self, random_):
        kind = random_.choice(["plain"] * 5 + ["flaky", "large", "fails"])
        payload = {"fill": "x" * random_.choice([10, 200, 3000, 9000])}
        if kind != "plain":
            payload[kind] = True
        return {"type": random_.choice(["one", "many", "many"]), "payload": payload}

    def accept(self, jobs, book=None):
        at = self.disk.seq()
        with self.lock:
            for id_, job in jobs.items():
                (self.accepted if book is None else book)[id_] = (at, job)

    def drop(self, id_, job, syncs=True, uid=None):
        """The recipe: write, fsync, move, fsync the folder."""
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
            fd = os.open(f"{self.spool}/new", os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(fd)
            os.close(fd)

    def producer(self, name, body):
        random_ = random.Random(f"{SEED} {name}")
        try:
            for number in range(1 << 30):
                if self.stop.is_set():
                    return
                body(f"{name}-{number}", random_)
        except Exception as error:  # noqa: BLE001: a thread's trouble is the script's
            self.trouble.append(f"{name}: {error!r}")

    def by_recipe(self, id_, random_):
        job = self.job(random_)
        self.drop(id_, job)
        self.accept({id_: job})
        time.sleep(random_.uniform(0, 0.03))

    def by_another(self, id_, random_):
        job = self.job(random_)
        self.drop(id_, job, uid=65534)
        self.accept({id_: job})
        time.sleep(random_.uniform(0, 0.03))

    def by_nobody(self, id_, random_):
        job = self.job(random_)
        # Noted before, so that a book of it exists whenever its end is seen.
        self.accept({id_: job}, self.sloppy)
        self.drop(id_, job, syncs=False)
        time.sleep(random_.uniform(0, 0.05))

    def submit(self, *arguments, text=None, uid=None):
        environment = dict(os.environ, **self.preload("submit"))
        # Where everybody may start it; the checkout may be nobody else's.
        binary = program("jobspool") if uid is None else f"{self.folder}/jobspool"
        who = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
        return subprocess.run(
            [binary, "submit", "--spool", self.spool, *arguments], input=text, text=True, check=True,
            stdout=subprocess.PIPE, env=environment, cwd="/", **who)

    def by_submit(self, id_, random_):
        job = self.job(random_)
        self.submit(job["type"], "--id", id_, "--payload", json.dumps(job["payload"]))
        self.accept({id_: job})
        time.sleep(random_.uniform(0, 0.05))

    def by_outsider(self, id_, random_):
        job = self.job(random_)
        self.submit(job["type"], "--id", id_, "--payload", json.dumps(job["payload"]), uid=65534)
        self.accept({id_: job})
        time.sleep(random_.uniform(0, 0.05))

    def by_bulk(self, id_, random_):
        jobs = {f"{id_}.{number}": self.job(random_) for number in range(random_.choice([2, 20, 40]))}
        self.submit("--bulk", "-", text="\n".join(json.dumps({"id": key, **job}) for key, job in jobs.items()))
        self.accept(jobs)
        time.sleep(random_.uniform(0.1, 0.4))

    def look(self):
        """What anybody can see: ends. First the look, then the number."""
        found = {}
        for state in ("done", "dead"):
            for name in os.listdir(f"{self.spool}/{state}"):
                id_ = name.removesuffix(".json")
                if name.endswith(".json") and self.seen.get(id_, (0, ""))[1] != state:
                    with contextlib.suppress(FileNotFoundError), open(f"{self.spool}/{state}/{name}", "rb") as file:
                        found[id_] = (state, file.read())
        at = self.disk.seq()
        for id_, (state, data) in found.items():
            self.seen[id_] = (at, state, data)

    def onlooker(self):
        try:
            while not self.stop.is_set():
                self.look()
                time.sleep(0.004)
        except Exception as error:  # noqa: BLE001
            self.trouble.append(f"onlooker: {error!r}")

    def go(self):
        books = f"{self.folder}/books"
        daemon = start_daemon(self.spool, books, preload=self.preload("daemon"))
        threads = [threading.Thread(target=self.onlooker)] + [
            threading.Thread(target=self.producer, args=pair) for pair in (
                ("recipe", self.by_recipe), ("other", self.by_another), ("sloppy", self.by_nobody),
                ("submit", self.by_submit), ("outsider", self.by_outsider), ("bulk", self.by_bulk))]
        for thread in threads:
            thread.start()
        time.sleep(SECONDS)
        self.stop.set()
        for thread in threads:
            thread.join()
        self.ended = self.disk.seq()
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
        check(not self.trouble, f"everybody worked to the end {self.trouble or ''}")
        say(
            f"{self.disk.kind}: {len(self.accepted)} jobs accepted, {len(self.seen)} ends seen, "
            f"{self.ended - self.began} writes and flushes recorded")


class Verdict:
    """What a cut disk lacks."""

    def __init__(self):
        self.images = self.asked = self.ends = 0
        self.wrong = {}

    def add(self, what, example):
        self.wrong.setdefault(what, []).append(example)


def listing(spool):
    found = {}
    for state in ("new", "cur", "done", "dead", "hold"):
        for name in os.listdir(f"{spool}/{state}"):
            if name.endswith(".json"):
                found.setdefault(name[:-5], []).append(state)
    return found


def settle(spool, books):
    """The daemon after the cut, until nothing is left to do; what it said."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{books}.err")
    daemon = start_daemon(spool, books, boot=str(uuid.uuid4()))
    end = time.monotonic() + 40
    quiet = 0
    while quiet < 3 and daemon.poll() is None and time.monotonic() < end:
        time.sleep(0.03)
        with contextlib.suppress(FileNotFoundError):
            rested = not any(name.endswith(".json") for state in ("new", "cur") for name in os.listdir(f"{spool}/{state}"))
            with open(f"{books}.err", "rb") as file:
                quiet = quiet + 1 if rested and b"runs on" in file.read() else 0
    if daemon.poll() is None:
        daemon.send_signal(signal.SIGTERM)
    try:
        code = daemon.wait(20)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
        code = "no end"
    with open(f"{books}.err") as file:
        return code, quiet >= 3, file.read()


def judge(work, root, at, verdict, where):
    spool, books = f"{root}/spool", f"{work.folder}/books.after"
    with open(books, "w"):
        pass
    code, rested, said = settle(spool, books)
    if code != 0 or not rested:
        verdict.add("the daemon did not get everything done", f"{where}: ended with {code}: {said[-600:]}")
    with open(books) as file:
        ran = set(file.read().split())
    found = listing(spool)
    for id_, (entry, job) in work.accepted.items():
        if entry > at:
            continue
        verdict.asked += 1
        states = found.get(id_, [])
        if len(states) != 1:
            verdict.add("accepted and lost" if not states else "in two places", f"{where}: {id_} {states}")
            continue
        try:
            with open(f"{spool}/{states[0]}/{id_}.json", "rb") as file:
                data = json.loads(file.read())
        except ValueError as error:
            verdict.add("unreadable", f"{where}: {states[0]}/{id_}: {error}")
            continue
        expected = "failed" if job["payload"].get("fails") else "done"
        record = data.get("jobspool", {})
        if data.get("payload") != job["payload"] or record.get("outcome") != expected:
            shown = {key: value for key, value in data.items() if key != "payload"}
            verdict.add("came to another end", f"{where}: {id_} {str(shown)[:500]}")
    for id_, (entry, state, data) in work.seen.items():
        if entry > at:
            continue
        verdict.ends += 1
        if found.get(id_) != [state]:
            verdict.add("an announced end is missing", f"{where}: {id_} was in {state}, is in {found.get(id_)}")
            continue
        with open(f"{spool}/{state}/{id_}.json", "rb") as file:
            now = file.read()
        if now != data and id_ not in work.sloppy:
            verdict.add("an announced end has changed", f"{where}: {state}/{id_} {len(data)} → {len(now)} bytes")
        elif now != data:
            try:
                same_record = json.loads(now)["jobspool"] == json.loads(data)["jobspool"]
            except (ValueError, KeyError):
                same_record = False
            if not same_record:
                verdict.add("an announced result is missing", f"{where}: {state}/{id_} {len(data)} → {now[:200]!r}")
        if id_ in ran:
            verdict.add("an announced end was run again", f"{where}: {id_}")
    for command in (["fsck"], ["audit", "verify"]):
        done = subprocess.run(
            [program("jobspool"), *command, "--spool", spool], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            verdict.add(f"'jobspool {' '.join(command)}' objects", f"{where}: {done.stdout[:600]}")


def study(kind, folder):
    disk = Disk(kind, folder, folder)
    with disk:
        work = Work(disk, folder)
        work.go()
    random_ = random.Random(SEED)
    moments = sorted({entry for entry, _ in work.accepted.values()} | {entry for entry, _, _ in work.seen.values()})
    verdict = Verdict()
    for number in range(IMAGES):
        # Half of the cuts right after somebody was told something, the others anywhere.
        at = random_.choice(moments) if number % 2 else random_.randint(moments[0], work.ended)
        how = KINDS[number // 2 % len(KINDS)]
        where = f"{kind}, cut {how} at {at}"
        with disk.cut(at, how, number) as (root, said):
            verdict.images += 1
            if root is None:
                verdict.add("the file system cannot be mounted", f"{where}: {said}")
                continue
            judge(work, root, at, verdict, where)
    for what, examples in verdict.wrong.items():
        print(f"      {what}: {len(examples)}, such as")
        for example in examples[:4]:
            print(f"        {example[:400]}")
    if CONTROL:
        check(
            bool(verdict.wrong),
            f"{kind}, with {CONTROL} not syncing: losses show {[(k, len(v)) for k, v in verdict.wrong.items()]}")
    else:
        check(
            not verdict.wrong,
            f"{kind}: {verdict.images} power cuts, {verdict.asked} accepted jobs and {verdict.ends} announced ends asked for, "
            f"wrong: { {what: len(examples) for what, examples in verdict.wrong.items()} or 'none'}")
        say(f"{kind}: {verdict.images} power cuts, {verdict.asked} accepted jobs and {verdict.ends} ends asked for")


def main():
    program("jobspoold"), program("jobspool"), program("jobspool-watch")
    top = scratch()
    build(top)
    print(f"SEED={SEED}")
    kinds = sys.argv[1:] or ["ext4", "xfs", "btrfs"]
    made = 0
    for kind in kinds:
        if not shutil.which(MAKE[kind][0]):
            say(f"{kind}: {MAKE[kind][0]} is not installed, left out")
            continue
        made += 1
        folder = os.path.join(top, kind)
        os.makedirs(folder)
        for name in ("blockrecord", "blockreplay", "nosync.so"):
            os.symlink(f"{top}/{name}", f"{folder}/{name}")
        shutil.copy(program("jobspool"), folder)
        study(kind, folder)
        if not os.environ.get("KEEP"):
            shutil.rmtree(folder)
    if not made:
        skip("no file system to try can be made here")
    finish()


if __name__ == "__main__":
    main()
