#!/usr/bin/env python3
"""Disks that refuse: no inodes, a quota, errors of the device, a file system that turns read-only; and folders of the spool
that are moved, deleted, replaced or unmounted under the daemon. Everybody says so plainly (the command line with 75 or 71,
the API with 503), nothing accepted is lost, and work goes on by itself as soon as it can.

    failing-disk.py [inodes|quota|device|readonly|folders…]"""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time

from daemon import PATIENCE, Spool, check, finish, own_mounts, program, same, say, scratch, until
from web import Web

own_mounts()
WANTED = sys.argv[1:] or ["inodes", "device", "readonly"]
WORK = 'echo "$JOBSPOOL_ID $JOBSPOOL_ATTEMPT" >> "%s/runs"\necho said >&2\nsleep 0.02\necho \'"fine"\'' % scratch()


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class Disk:
    """A small file system on an image."""

    def __init__(self, name, size, make, options="loop"):
        self.image, self.mount = os.path.join(scratch(), f"{name}.image"), os.path.join(scratch(), name)
        self.options, self.is_mounted = options, False
        os.mkdir(self.mount)
        with open(self.image, "wb") as file:
            file.truncate(size)
        made = run(*make, self.image) if shutil.which(make[0]) else None
        self.is_there = bool(made) and made.returncode == 0 and self.attach()
        if not self.is_there:
            print(f"{make[0]} cannot be used here, left out")

    def attach(self):
        self.is_mounted = run("mount", "-o", self.options, self.image, self.mount).returncode == 0
        return self.is_mounted

    def detach(self, *options):
        for _ in range(200):
            if run("umount", *options, self.mount).returncode == 0:
                self.is_mounted = False
                return
            time.sleep(0.05)
        check(False, f"{self.mount} can be unmounted")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.is_mounted:
            run("umount", "-l", self.mount)


def submit(spool, id_, *more):
    """Exit code and words of a submission."""
    done = subprocess.run([program("jobspool"), "submit", "work", "--id", id_, "--spool", spool.path, *more],
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr.strip()


def prepare(disk, config='max_jobs = 4\nrescan = "1s"\nmin_free = "0"'):
    spool = Web(path=os.path.join(disk.mount, "spool"), config=config)
    spool.log = os.path.join(scratch(), os.path.basename(disk.mount) + ".stderr")
    spool.handler("work", WORK, 'concurrency = 4\nmax_attempts = 5\ndelays = ["200ms", "200ms", "200ms", "200ms"]')
    return spool


def accept(spool, accepted, prefix, count=5):
    """By every way; what is refused must be refused plainly."""
    codes = set()
    for number in range(count):
        id_ = f"{prefix}-{number}"
        try:
            spool.drop(f"{id_}-drop", {"type": "work"})
            accepted.append(f"{id_}-drop")
        except OSError as error:
            codes.add(f"drop: {errno.errorcode[error.errno]}")
        code, said = submit(spool, f"{id_}-submit")
        codes.add(f"submit: {code}")
        if code == 0:
            accepted.append(f"{id_}-submit")
        answer = spool.post("/v1/jobs", {"id": f"{id_}-api", "type": "work"})
        codes.add(f"api: {answer.status}")
        if answer.status == 202:
            accepted.append(f"{id_}-api")
        elif answer.status == 503:
            check("Retry-After" in answer.headers, f"a 503 says when to come back: {dict(answer.headers)}")
    return codes


def judge(spool, accepted, what):
    until(lambda: all(spool.states(id_) == ["done"] for id_ in accepted), lambda: f"{what}: all {len(accepted)} are done; "
          f"{[(id_, spool.states(id_)) for id_ in accepted if spool.states(id_) != ['done']][:4]}", 30, every=0.05)
    same(spool.stop(), 0, f"{what}: exit")
    spool.verify()


def fill(folder):
    """Takes what there is, bytes and inodes."""
    os.makedirs(folder, exist_ok=True)
    number = 0
    try:
        while True:
            with open(f"{folder}/{number}", "wb") as file:
                file.write(b"f" * 100)
            number += 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
    try:
        with open(f"{folder}/big", "wb", buffering=0) as file:
            for size in (1 << 20, 1 << 16, 1 << 12, 512):
                try:
                    while True:
                        file.write(b"f" * size)
                except OSError:
                    pass
            os.fsync(file.fileno())
    except OSError:
        pass


def refuses(disk, what):
    """A disk that takes nothing more, until there is room again."""
    with prepare(disk) as spool:
        spool.serve()
        accepted = []
        same(accept(spool, accepted, "before"), {"submit: 0", "api: 202"}, f"{what}, before")
        pid = spool.process.pid
        for round_ in range(2):
            for number in range(10):
                spool.drop(f"busy-{round_}-{number}", {"type": "work"})
                accepted.append(f"busy-{round_}-{number}")
            fill(os.path.join(disk.mount, "filler"))
            codes = accept(spool, accepted, f"full-{round_}")
            check("submit: 75" in codes and codes <= {"drop: ENOSPC", "drop: EDQUOT", "submit: 75", "submit: 0", "api: 503", "api: 202"},
                  f"{what}: {sorted(codes)}")
            check("api: 503" in codes, f"{what}: the API says 503")
            code, said = submit(spool, "what")
            check(code in (0, 75), f"{what}: submit ends with {code}: {said[:160]}")
            if code == 0:
                accepted.append("what")
            time.sleep(1)
            same(spool.process.poll(), None, f"{what}: the daemon runs on")
            shutil.rmtree(os.path.join(disk.mount, "filler"))
            codes = set()
            until(lambda: "api: 202" in (codes := accept(spool, accepted, f"room-{round_}-{time.monotonic_ns()}", 1)) and
                  "submit: 0" in codes, lambda: f"{what}: there is room again", 15, every=0.5)
        same(spool.process.pid, pid, f"{what}: nobody had to start it anew")
        judge(spool, accepted, what)
        with open(os.path.join(scratch(), "runs")) as file:
            runs = file.read().split("\n")[:-1]
        same([line for line in set(runs) if runs.count(line) > 1], [], f"{what}: attempts that ran twice")
        say(f"{what}: {len(accepted)} jobs accepted around it, all done, without a restart")
    os.unlink(os.path.join(scratch(), "runs"))


def inodes():
    with Disk("inodes", 24 << 20, ["mkfs.ext4", "-q", "-N", "256", "-m", "0"]) as disk:
        if disk.is_there:
            refuses(disk, "no inodes")


def quota():
    with Disk("quota", 160 << 20, ["mkfs.btrfs", "-q"]) as disk:
        if not disk.is_there:
            return
        top = disk.mount
        steps = [run("btrfs", "quota", "enable", top), run("btrfs", "subvolume", "create", f"{top}/small"),
                 run("btrfs", "qgroup", "limit", "12M", f"{top}/small")]
        if any(step.returncode for step in steps):
            print(f"no btrfs quota here: {[step.stdout for step in steps if step.returncode]}, left out")
            return
        disk.mount = f"{top}/small"
        try:
            refuses(disk, "a quota of btrfs")
        finally:
            disk.mount = top


def broken(disk, what, break_it):
    """A disk that fails for good: the daemon says so and loses nothing; mounted again, everything ends."""
    with prepare(disk) as spool:
        spool.serve()
        accepted = []
        accept(spool, accepted, "before")
        mark = len(spool.said())
        for number in range(20):
            spool.drop(f"busy-{number}", {"type": "work"})
            # A bare drop is as durable as its producer made it.
            fd = os.open(spool.at("new"), os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        subprocess.run(["sync", "-f", spool.path])
        break_it()
        code, said = submit(spool, "refused")
        check(code in (71, 75), f"{what}: submit ends with {code}: {said[:200]}")
        answer = None
        try:
            answer = spool.post("/v1/jobs", {"type": "work"}, timeout=10).status
        except OSError as error:
            answer = f"none, {error}"
        check(answer in (500, 503) or isinstance(answer, str), f"{what}: the API answers {answer}")
        time.sleep(2.5)
        text = spool.said(mark).decode(errors="replace")
        code = spool.process.poll()
        check(code in (None, 74), f"{what}: the daemon runs on, or ends with 74 because nothing written can be trusted: {code}")
        check("error" in text.lower() or "read-only" in text.lower(), f"{what}: stderr says so: {text[:300]!r}")
        check(text.count("\n") < 30, f"{what}: and says it in {text.count(chr(10))} lines")
        if code is None:
            # It cannot write down its end; a second and a third signal insist.
            for _ in range(3):
                spool.process.send_signal(signal.SIGTERM)
                time.sleep(0.3)
            try:
                code = spool.process.wait(8)
            except subprocess.TimeoutExpired:
                check(False, f"{what}: it can be stopped")
                spool.process.kill()
                spool.process.wait()
        spool.process = None
        users = lambda: [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if uses(pid, disk.mount)]  # noqa: E731
        until(lambda: not users(), lambda: f"nobody uses the disk any more: {[words(pid) for pid in users()]}", 15, every=0.1)
        disk.detach()
        check(disk.attach(), f"{what}: it can be mounted again")
        spool.serve()
        accepted += [f"busy-{number}" for number in range(20)]
        judge(spool, accepted, what)
        done = run(program("jobspool"), "fsck", "--spool", spool.path)
        same(done.returncode, 0, f"{what}: fsck {done.stdout.strip()[-200:]}")
        say(f"{what}: {len(accepted)} jobs accepted before it, all done after the next start")


def words(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read().split("\0")[:3]
    except OSError:
        return pid


def uses(pid, mount):
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            if f"{os.readlink(f'/proc/{pid}/fd/{name}')}/".startswith(f"{mount}/"):
                return True
        return f"{os.readlink(f'/proc/{pid}/cwd')}/".startswith(f"{mount}/")
    except OSError:
        return False


def device():
    with Disk("device", 320 << 20, ["mkfs.xfs", "-q"]) as disk:
        if disk.is_there and shutil.which("xfs_io"):
            broken(disk, "a device that fails", lambda: run("xfs_io", "-x", "-c", "shutdown", disk.mount))


def readonly():
    with Disk("readonly", 64 << 20, ["mkfs.ext4", "-q"], "loop,errors=remount-ro") as disk:
        if not disk.is_there:
            return
        loop = os.path.basename(run("findmnt", "-n", "-o", "SOURCE", disk.mount).stdout.strip())

        def turn():
            with open(f"/sys/fs/ext4/{loop}/trigger_fs_error", "w") as file:
                file.write("a test")

        if os.path.exists(f"/sys/fs/ext4/{loop}/trigger_fs_error"):
            broken(disk, "a file system that turns read-only", turn)


# Folders that go under the daemon.

FOLDERS = ("new", "cur", "done", "dead", "tmp", "log", "ctl", "hold")


def started(spool, mark):
    until(lambda: b"runs on" in spool.said(mark) or spool.process.poll() is not None, "it starts")


def folders():
    for folder in os.environ.get("FOLDERS", "new done log").split():
        with Spool(f"moved-{folder}", config='rescan = "1s"') as spool:
            spool.handler("work", WORK, "concurrency = 2")
            spool.start()
            spool.drop("before", {"type": "work"})
            spool.wait("before")
            away = spool.at(folder) + ".away"

            # Moved away and back: nothing happens meanwhile, and everything afterwards.
            mark = len(spool.said())
            os.rename(spool.at(folder), away)
            until(lambda: b"is missing" in spool.said(mark), f"stderr says that {folder} is missing", 10)
            check("is missing" in spool.alerted("spool_moved"), f"{folder} away: the alert in status.json")
            code, said = submit(spool, "refused")
            check(code == 66 and folder in said, f"{folder} away: submit ends with {code}: {said[:120]}")
            time.sleep(2.2)
            same(spool.process.poll(), None, f"{folder} away: the daemon runs on")
            check(spool.said(mark).count(b"\n") < 20, f"{folder} away: said in {spool.said(mark).count(bytes([10]))} lines")
            os.rename(away, spool.at(folder))
            spool.drop("after", {"type": "work"})
            spool.wait("after")

            # Another folder in its place: the daemon ends, its next start works in that one.
            mark = len(spool.said())
            os.rename(spool.at(folder), away)
            os.mkdir(spool.at(folder))
            if folder == "log":
                os.mkdir(spool.at(folder, "jobs"))
            try:
                code = spool.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                code = None
            same(code, 75, f"{folder} replaced: exit")
            check(b"was replaced" in spool.said(mark), f"{folder} replaced: stderr says so")
            spool.process = None
            spool.start()
            spool.drop("anew", {"type": "work"})
            spool.wait("anew")
            same(spool.stop(), 0, f"{folder} replaced: exit of the next start")
            say(f"{folder}: away and back, and replaced: said, and nothing went astray")

    # The disk is unmounted, lazily since it is in use, and comes back.
    with Disk("unmounted", 64 << 20, ["mkfs.ext4", "-q"]) as disk:
        if not disk.is_there:
            return
        with Spool(path=os.path.join(disk.mount, "spool"), config='rescan = "1s"\nmin_free = "1M"') as spool:
            spool.log = os.path.join(scratch(), "unmounted.stderr")
            spool.handler("work", WORK, "concurrency = 2")
            spool.start()
            spool.drop("before", {"type": "work"})
            spool.wait("before")
            mark = len(spool.said())
            disk.detach("-l")
            until(lambda: b"is missing" in spool.said(mark), "stderr says that the spool is missing", 10)
            time.sleep(1.5)
            same(spool.process.poll(), None, "unmounted: the daemon runs on")
            check(spool.said(mark).count(b"\n") < 20, f"unmounted: said in {spool.said(mark).count(bytes([10]))} lines")
            # The same file system may have another device number now, and then the daemon ends for a fresh start.
            subprocess.run(["mount", "-o", "loop", disk.image, disk.mount], check=False, stderr=subprocess.DEVNULL)
            disk.is_mounted = os.path.ismount(disk.mount)
            if not check(disk.is_mounted, "unmounted: it can be mounted again"):
                return
            spool.drop("after", {"type": "work"})
            until(lambda: spool.process.poll() is not None or spool.states("after") == ["done"], "it goes on, or ends", 20)
            code = spool.process.poll()
            check(code in (None, 75), f"unmounted and mounted: it goes on, or ends with 75: {code}")
            if code is not None:
                spool.process = None
                spool.start()
            spool.wait("after")
            same(spool.stop(), 0, "unmounted: exit")
            spool.verify()
            say(f"unmounted and mounted again: {'it went on' if code is None else 'it ended with 75, and its next start went on'}")


for name in WANTED:
    {"inodes": inodes, "quota": quota, "device": device, "readonly": readonly, "folders": folders}[name]()
finish()
