#!/usr/bin/env python3
"""Power cuts, at block level: real programs on a real file system whose every write and flush is recorded; then the disk
as it would be, had the power gone at a chosen moment, is mounted, the real daemon is started on it, and what had been
promised until that moment is asked for.

    powerloss.py [FILESYSTEM…]      ext4 xfs btrfs; those that can be made here
    IMAGES=50                       cut disks for each file system, a quarter of each kind (see blockreplay.c)
    WHO="later brief"               only these of the producers (see work.py)
    SECONDS=8                       how long work goes on while it is recorded
    CONTROL=WHAT:WHO                nothing of WHAT is synced (see nosync.c) by WHO, submit, group (a submit by who may not
                                    read new/), web, backup or daemon; losses must show
    SEED=N, KEEP=1                  the same cuts again; leave the recording in $SCRATCH

Promised are: a job whose producer was told that it is accepted is there, whole, and comes to its end; an end that was
visible in done/ or dead/, or told by the API, stays as it was, and its job is not run again; what an operator was told
is done is done; a backup that was reported whole can be restored and has every job accepted before it; what retention
removed was finished; log and spool can be read. Producers are the recipe of the documents (own user and another),
`submit` (by the spool's user and by a member of its group), `submit --bulk`, the API, and one that syncs nothing: its
jobs may be lost, but not once their end was to be seen. Handlers are exec and worker; some fail and are retried, some
have results that are too large for the audit log. A third of the disks comes back after ten minutes (by libfaketime).

Needs root, FUSE, loop devices and a C compiler; without them it is skipped."""

import contextlib
import glob
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "EndToEnd"))
from daemon import check, finish, own_mounts, program, say, scratch, skip  # noqa: E402

from recorded import MAKE, Disk, build  # noqa: E402
from work import AGAIN, BRIEF, CONTROL, SEED, WAITING, Work  # noqa: E402

IMAGES = int(os.environ.get("IMAGES", "50"))
KINDS = ("flush", "rand", "torn", "all")
FAKETIME = (glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1") or [None])[0]
LATER = {
    "LD_PRELOAD": FAKETIME, "FAKETIME": "+10m", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}


class Verdict:
    """What a cut disk lacks."""

    def __init__(self):
        self.images = self.asked = self.ends = self.restored = self.outages = self.orders = self.rescued = 0
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


def start_daemon(spool, books, outage):
    """Under another boot id, which is how a daemon knows that the machine itself went down."""
    with open(f"{books}.boot", "w") as file:
        file.write(str(uuid.uuid4()) + "\n")
    mounted = f'mount --bind "{books}.boot" /proc/sys/kernel/random/boot_id && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", mounted, "sh", program("jobspoold"), "--spool", spool, "--no-web"]
    environment = dict(os.environ, BOOKS=books, **(LATER if outage else {}))
    with open(f"{books}.err", "ab") as said:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment)


def settle(spool, books, outage):
    """The daemon after the cut, until nothing is left to do; what it said."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{books}.err")
    daemon = start_daemon(spool, books, outage)
    # A minute without an end, whatever else the machine has to do.
    end, ends = time.monotonic() + 60, -1
    quiet = 0
    while quiet < 3 and daemon.poll() is None and time.monotonic() < end:
        time.sleep(0.03)
        with contextlib.suppress(FileNotFoundError):
            if (now := sum(len(os.listdir(f"{spool}/{state}")) for state in ("done", "dead"))) != ends:
                end, ends = time.monotonic() + 60, now
            rested = not any(
                name.endswith(".json") and not name.startswith(WAITING)
                for state in ("new", "cur") for name in os.listdir(f"{spool}/{state}"))
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


def removed(spool):
    """Ids with a finished line, in the audit log."""
    found = set()
    for path in glob.glob(f"{spool}/log/audit-*.jsonl"):
        with open(path, "rb") as file:
            for line in file:
                with contextlib.suppress(ValueError):
                    event = json.loads(line)
                    if event["event"] == "finished":
                        found.add(event["job"])
    return found


def judge(work, root, at, verdict, where, outage):
    spool, books = f"{root}/spool", f"{work.folder}/books.after"
    with open(books, "w"):
        pass
    code, rested, said = settle(spool, books, outage)
    if code != 0 or not rested:
        verdict.add("the daemon did not get everything done", f"{where}: ended with {code}: {said[-600:]}")
    with open(books) as file:
        ran = set(file.read().split())
    found = listing(spool)
    finished = removed(spool)
    for id_, (entry, job) in work.accepted.items():
        if entry <= at:
            verdict.asked += 1
            judge_job(id_, job, spool, found.get(id_, []), finished, work.ordered.get(id_, (at + 1, ""))[0] <= at,
                      work.ordered.get(id_, (0, ""))[1], verdict, f"{where}, told at {entry}, {work.times[id_]}")
    for id_, (entry, state) in work.told.items():
        if entry <= at and found.get(id_) != [state]:
            verdict.add("an end that the API told is missing", f"{where}: {id_} was in {state}, is in {found.get(id_)}")
    for id_, (entry, state, data) in work.seen.items():
        if entry > at:
            continue
        verdict.ends += 1
        if id_ in ran:
            verdict.add("an announced end was run again", f"{where}: {id_}")
        if id_.startswith(BRIEF) and id_ in finished and not found.get(id_):
            continue
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
    for command in (["fsck"], ["audit", "verify"]):
        done = subprocess.run(
            [program("jobspool"), *command, "--spool", spool], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            verdict.add(f"'jobspool {' '.join(command)}' objects", f"{where}: {done.stdout[:600]}")
    judge_backup(work, root, at, verdict, where)


def judge_job(id_, job, spool, states, finished, is_ordered, order, verdict, where):
    """One accepted job, after everything has come to its end."""
    if id_.startswith(BRIEF) and not states and id_ in finished:
        return
    if len(states) != 1:
        verdict.add("accepted and lost" if not states else "in two places", f"{where}: {id_} {states}")
        return
    try:
        with open(f"{spool}/{states[0]}/{id_}.json", "rb") as file:
            data = json.loads(file.read())
    except ValueError as error:
        verdict.add("unreadable", f"{where}: {states[0]}/{id_}: {error}")
        return
    record = data.get("jobspool", {})
    expected = "failed" if job["payload"].get("fails") else "done"
    if is_ordered:
        verdict.orders += 1
    if id_.startswith(WAITING):
        expected = record.get("outcome")
        if is_ordered and states != [order]:
            verdict.add("an operator's word is lost", f"{where}: {id_} is in {states}, not in {order}")
    elif is_ordered and order == "again" and len(record.get("attempts", [])) < 2:
        verdict.add("an operator's word is lost", f"{where}: {id_} was not run again: {record}")
    if data.get("payload") != job["payload"] or record.get("outcome") != expected:
        shown = {key: value for key, value in data.items() if key != "payload"}
        verdict.add("came to another end", f"{where}: {id_} {str(shown)[:500]}")


def judge_backup(work, root, at, verdict, where):
    """The newest backup of which somebody was told that it is whole."""
    whole = [before for entry, before in work.backups if entry <= at]
    if not whole:
        return
    verdict.restored += 1
    target = f"{work.folder}/restored"
    done = subprocess.run(
        [program("jobspool"), "restore", f"{root}/backups", "--spool", target], capture_output=True, text=True)
    if done.returncode:
        verdict.add("a backup cannot be restored", f"{where}: {done.returncode} {(done.stdout + done.stderr)[:600]}")
    if os.path.isdir(f"{target}/new"):
        found = listing(target)
        for id_ in whole[-1]:
            if len(found.get(id_, [])) != 1:
                verdict.add("a backup lacks a job", f"{where}: {id_} is in {found.get(id_)}")
    shutil.rmtree(target, ignore_errors=True)


def study(kind, folder):
    disk = Disk(kind, folder, folder)
    with disk:
        work = Work(disk, folder)
        work.go()
    random_ = random.Random(SEED)
    moments = work.moments()
    told = sorted(moments)
    if CONTROL:
        # What nobody synced is on the disk soon enough with what others sync: right after the word, it is not.
        whose = CONTROL.partition(":")[2]
        told = [name for name in told if name == {"web": "api"}.get(whose, whose)] or told
    verdict = Verdict()
    for number in range(IMAGES):
        # Half of the cuts right after somebody was told something, the others anywhere.
        at = random_.choice(moments[random_.choice(told)]) if number % 2 or CONTROL else random_.randint(
            min(entries[0] for entries in moments.values()), work.ended)
        how = KINDS[number // 2 % len(KINDS)]
        outage = FAKETIME is not None and number % 3 == 2
        where = f"{kind}, cut {how} at {at}{', for ten minutes' if outage else ''}"
        with disk.cut(at, how, number) as (root, said):
            verdict.images += 1
            verdict.outages += outage
            if disk.is_rescued:
                # The superblock is torn, and fsync writes the first superblock of btrfs alone: a copy is as old as the
                # last whole commit, half a minute at worst, and what was promised since is gone for every program.
                verdict.rescued += 1
                continue
            if root is None:
                verdict.add("the file system cannot be mounted", f"{where}: {said}")
                print(f"      image {number}: cannot be mounted: {where}: {said}", flush=True)
                continue
            before = {what: len(examples) for what, examples in verdict.wrong.items()}
            judge(work, root, at, verdict, where, outage)
            for what, examples in verdict.wrong.items():
                for example in examples[before.get(what, 0):][:2]:
                    print(f"      image {number}: {what}: {example[:900]}", flush=True)
    check(verdict.rescued <= max(1, verdict.images // 10), f"{kind}: disks with a torn superblock, not judged: {verdict.rescued}")
    if CONTROL:
        check(
            bool(verdict.wrong),
            f"{kind}, with {CONTROL} not syncing: losses show {[(k, len(v)) for k, v in verdict.wrong.items()]}")
    else:
        check(
            not verdict.wrong,
            f"{kind}: {verdict.images} power cuts, wrong: { {what: len(examples) for what, examples in verdict.wrong.items()} or 'none'}")
    say(f"{kind}: {verdict.images} power cuts ({verdict.outages} for ten minutes), {verdict.asked} accepted jobs, {verdict.ends} "
        f"ends, {verdict.orders} requests and {verdict.restored} backups asked for"
        + (f"; {verdict.rescued} not judged: a torn superblock, and its copy is older" if verdict.rescued else ""))


def main():
    own_mounts()
    for name in ("jobspoold", "jobspool", "jobspool-watch", "jobspool-web"):
        program(name)
    for tool in ("rsync", "setpriv"):
        if not shutil.which(tool):
            skip(f"{tool} is not installed")
    top = scratch()
    build(top)
    # A member of the spool's group has to get through to the disk.
    os.chmod(top, 0o711)
    print(f"SEED={SEED}", flush=True)
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
        study(kind, folder)
        if not os.environ.get("KEEP"):
            shutil.rmtree(folder)
    if not made:
        skip("no file system to try can be made here")
    finish()


if __name__ == "__main__":
    main()
