#!/usr/bin/env python3
"""A disk that fills up while jobs flow: nothing is lost, no attempt is burnt, the daemon runs on, and goes on by itself when there
is room again. FILESYSTEM is tmpfs or ext4 (on an image), ROUNDS how often it is filled (3), with min_free of none and of 2 MB
in turn."""

import errno
import os
import random
import subprocess
import time

from daemon import Spool, check, finish, same, say, scratch, skip, until

ROUNDS = int(os.environ.get("ROUNDS", "3"))
KIND = os.environ.get("FILESYSTEM", "ext4")
SEED = int(os.environ.get("SEED", str(int(time.time()))))
print(f"SEED={SEED}")
random.seed(SEED)
if os.geteuid() != 0:
    skip("only root may mount a small file system")

mount = os.path.join(scratch(), "disk")
os.mkdir(mount)
if KIND == "tmpfs":
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", mount]
else:
    image = os.path.join(scratch(), "image")
    with open(image, "wb") as file:
        file.truncate(24 << 20)
    if subprocess.run(["mkfs.ext4", "-q", "-N", "8192", "-m", "0", image]).returncode != 0:
        skip("no mkfs.ext4 here")
    command = ["mount", "-o", "loop", image, mount]
if subprocess.run(command).returncode != 0:
    skip(f"a small {KIND} cannot be mounted here")


def fill(path, leave=0):
    """Takes the last byte, and gives some back."""
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 16, 1 << 12, 512):
            try:
                while True:
                    file.write(b"f" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        if leave:
            file.truncate(file.tell() - leave)
        try:
            os.fsync(file.fileno())
        except OSError:
            pass


def drop(spool, id_, job):
    """A careful producer: what does not fit was not handed over."""
    try:
        spool.drop(id_, job)
        return True
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        try:
            os.unlink(spool.at("tmp", f"{id_}.json"))
        except FileNotFoundError:
            pass
        return False


try:
    config = 'max_jobs = 4\nrescan = "1s"\nmin_free = '
    with Spool(path=os.path.join(mount, "spool"), config=config + '"0"') as spool:
        spool.log = os.path.join(scratch(), "stderr")
        # Results of some size, logs, stages; and a note outside of every run.
        spool.handler("work", '''
echo "$JOBSPOOL_ID $JOBSPOOL_ATTEMPT" >> "%s/runs"
echo '{"stage":"one"}' >&3
echo "a line for the log" >&2
sleep 0.01
head -c 1500 /dev/zero | tr '\\0' r''' % scratch(), "concurrency = 4\nmax_attempts = 3")
        spool.start()
        accepted = []
        refused = 0
        filler = os.path.join(mount, "filler")
        held_up = 0
        for round_ in range(ROUNDS):
            low = round_ % 2 == 1
            spool.configure(config + ('"2M"' if low else '"0"'))
            jobs = 0
            before = len(spool.said())
            began = time.monotonic()
            # Below min_free there is some room left, which the producers must not take.
            while time.monotonic() - began < 1.5 and not (low and jobs == 100):
                id_ = f"job-{round_}-{jobs}"
                jobs += 1
                if drop(spool, id_, {"type": "work", "payload": "p" * random.choice([10, 1000, 5000])}):
                    accepted.append(id_)
                else:
                    refused += 1
                    time.sleep(0.005)
                if jobs == 30:
                    # Below min_free, or to the last byte.
                    fill(filler, 1800 << 10 if low else 0)
                time.sleep(0.002)
            if low:
                check("min_free" in spool.alerted("disk"), "the alert says that min_free is reached")
                until(lambda: spool.status().get("state") == "low_disk", "status.json says low_disk", 5)
            waiting = spool.count("new", "cur")
            held_up += waiting
            if not low:
                said = spool.said(before).count(b"No space left")
                check(said < 100, f"a full disk is not said {said} times")
            check(spool.process.poll() is None, f"round {round_}: the daemon runs on; {waiting} jobs are held up")
            os.unlink(filler)
            began = time.monotonic()
            until(lambda: spool.count("done") == len(accepted), lambda: f"all of {len(accepted)} done, of which "
                  f"{spool.count('new')} in new, {spool.count('cur')} in cur, {spool.count('dead')} dead")
            say(f"{KIND}, {'min_free 2M' if low else 'no min_free'}: {waiting} jobs held up by the full disk, all done "
                f"{time.monotonic() - began:.1f} s after there was room")
            until(lambda: "disk" not in spool.alerts() and "no_space" not in spool.alerts(), "the alerts are gone", 10)
            if spool.count("done") != len(accepted):
                break

        # Killed while the disk is full: the next start has no room either, and loses nothing.
        spool.configure(config + '"0"')
        for number in range(10):
            if drop(spool, f"last-{number}", {"type": "work", "payload": "x" * 1000}):
                accepted.append(f"last-{number}")
        fill(filler)
        time.sleep(0.1)
        spool.process.kill()
        spool.process.wait()
        mark = len(spool.said())
        spool.start(ready=False)
        until(lambda: b"waits for room" in spool.said(mark) or spool.process.poll() is not None, "the start waits for room")
        same(spool.process.poll(), None, "exit of a start on the full disk")
        os.unlink(filler)
        until(lambda: b"runs on" in spool.said(mark), "it starts when there is room")
        until(lambda: spool.count("done") == len(accepted), lambda: f"all of {len(accepted)} done, of which "
              f"{spool.count('new')} in new, {spool.count('cur')} in cur, {spool.count('dead')} dead")
        same(spool.stop(), 0, "exit")
        spool.verify()
        wrong = 0
        for id_ in accepted:
            if spool.states(id_) != ["done"]:
                wrong += 1
                continue
            record = spool.record("done", id_)
            outcomes = [run["outcome"] for run in record["attempts"]]
            # Only those of the last round may have been cut off by the kill.
            fine = outcomes == ["done"] or (id_.startswith("last-") and set(outcomes) <= {"done", "crashed"})
            if record.get("result") != "r" * 1500 or not fine:
                wrong += 1
                print(id_, str(record)[:300])
        same(wrong, 0, f"jobs of {len(accepted)} that are not as they should be")
        with open(os.path.join(scratch(), "runs")) as file:
            runs = file.read().split("\n")[:-1]
        again = [run for run in set(runs) if runs.count(run) > 1]
        same(again, [], "attempts that ran twice")
        say(f"{KIND}: {len(accepted)} jobs accepted, {refused} not accepted by the full disk, {len(runs)} runs")
finally:
    subprocess.run(["umount", "-l", mount])
finish()
