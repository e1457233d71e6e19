#!/usr/bin/env python3
"""`rate` against the real daemon: the 11th of an hour is refused or waits, another value passes at once, and a restart in
between changes nothing; `submit` says so beforehand, and never falsely."""

import json
import os
import signal
import subprocess
import time

from daemon import Spool, check, finish, program, same, say, until

LIMIT = 10


def submit(spool, *arguments, stdin=None, **more):
    return subprocess.run([program("jobspool"), "submit", *arguments, "--spool", spool.path], input=stdin,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, **more)


def mail(user):
    return ["--payload", json.dumps({"user": user})]


with Spool(config="max_jobs = 8\nrescan = \"1s\"") as spool:
    rate = f'concurrency = 4\nrate = {{ limit = {LIMIT}, per = "1h", by = "/payload/user", over = "%s" }}'
    spool.handler("mail", "cat", rate % "reject")
    spool.handler("call", "cat", rate % "wait")
    spool.handler("quick", "cat", 'rate = { limit = 2, per = "3s", over = "reject" }')
    spool.handler("slowly", "cat", 'concurrency = 4\nrate = { limit = 5, per = "2s" }')
    spool.start()

    def drop(id_, type_, user):
        spool.drop(id_, {"type": type_, "payload": {"user": user}})

    # Reject, by files: 6 before and 6 after a restart. The 11th and 12th are refused.
    for n in range(6):
        drop(f"m{n:02}", "mail", "ann")
    for n in range(6):
        spool.wait(f"m{n:02}")
    spool.stop(signal.SIGKILL)
    spool.start()
    for n in range(6, 10):
        drop(f"m{n:02}", "mail", "ann")
        spool.wait(f"m{n:02}")
    for n in range(10, 12):
        drop(f"m{n:02}", "mail", "ann")
        record = spool.wait(f"m{n:02}", "dead")
        same((record["outcome"], record["error"]["code"]), ("rate_limited", "rate_limited"), f"number {n + 1} of ann's")
    drop("m-bob", "mail", "bob")
    spool.wait("m-bob")
    check(True, "bob's was taken at once")

    # The command line says the same before it writes anything.
    before = spool.count("new", "cur", "done", "dead")
    refused = submit(spool, "mail", *mail("ann"))
    same(refused.returncode, 75, f"submit of ann's 11th: {refused.stderr.decode().strip()}")
    for word in ("10 per 1h", 'for "ann"', "takes another at 2"):
        check(word in refused.stderr.decode(), f"it says {word!r}")
    same(spool.count("new", "cur", "done", "dead"), before, "files, as before")
    same(submit(spool, "mail", *mail("bob")).returncode, 0, "submit of bob's")
    # A duplicate is a duplicate, which counts for no rate.
    twin = submit(spool, "mail", "--id", "m00", *mail("ann"))
    same(twin.returncode, 73, f"a duplicate of ann's: {twin.stderr.decode().strip()}")
    # Neither retries nor requeues count, and what was refused does not either.
    subprocess.run([program("jobspool"), "requeue", "m00", "--spool", spool.path], check=True, stdout=subprocess.DEVNULL)
    until(lambda: len(spool.events("m00", "finished")) == 2, "a requeued one runs")

    # After a restart, and without a daemon: the log knows.
    spool.stop()
    same(submit(spool, "mail", *mail("ann")).returncode, 75, "submit of ann's 11th with the daemon down")
    same(submit(spool, "mail", *mail("eve")).returncode, 0, "submit of eve's with the daemon down")
    spool.start()
    same(submit(spool, "mail", *mail("ann")).returncode, 75, "submit of ann's 11th after a restart")
    # Many at once: 7 of 12 lines of bob's and eve's second to eleventh.
    lines = "".join(json.dumps({"type": "mail", "payload": {"user": "bob"}}) + "\n" for _ in range(12))
    bulk = submit(spool, "--bulk", "-", stdin=lines.encode())
    same((bulk.returncode, len(bulk.stdout.split())), (75, LIMIT - 2), "lines of bob's 12 that were taken after two")
    same(bulk.stderr.count(b"takes another at"), 4, "lines refused, each with the time")
    until(lambda: spool.count("new", "cur") == 0, "all have ended")
    dead = [name for name in spool.names("dead")]
    same(dead, ["m10.json", "m11.json"], "nothing that was accepted was refused later; dead")

    # Nobody is refused for what cannot be known: without the log and status.json everything passes, the daemon decides.
    if os.geteuid() == 0:
        for path in (spool.path, spool.at("tmp"), spool.at("new")):
            os.chmod(path, 0o1777)
        top = os.path.dirname(spool.path)
        while top not in ("/", "/tmp"):
            os.chmod(top, os.stat(top).st_mode | 0o055)
            top = os.path.dirname(top)
        os.chmod(spool.at("log"), 0o700)
        until(lambda: len(spool.type("mail").get("rate", {}).get("full", [])) == 2, "status.json names ann and bob")
        who = {"preexec_fn": lambda: os.setuid(65534)}
        readable = subprocess.run([program("jobspool"), "--help"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who)
        if readable.returncode == 0:
            refused = submit(spool, "mail", *mail("ann"), **who)
            same(refused.returncode, 75, f"a user who may not read the log: {refused.stderr.decode().strip()}")
            # It is written anew with every rescan, for everybody.
            spool.process.send_signal(signal.SIGSTOP)
            os.chmod(spool.at("status.json"), 0o600)
            passed = submit(spool, "mail", *mail("ann"), **who)
            spool.process.send_signal(signal.SIGCONT)
            same(passed.returncode, 0, f"one who may read neither: {passed.stderr.decode().strip()}")
            record = spool.wait(passed.stdout.decode().strip(), "dead")
            same(record.get("outcome"), "rate_limited", "which the daemon refuses")

    # Wait: 12 of ann's, 10 start, also with a restart in the middle; bob's at once.
    for n in range(6):
        drop(f"c{n:02}", "call", "ann")
    for n in range(6):
        spool.wait(f"c{n:02}")
    spool.stop(signal.SIGKILL)
    spool.start()
    for n in range(6, 12):
        drop(f"c{n:02}", "call", "ann")
    until(lambda: len([n for n in spool.names("done") if n.startswith("c")]) == LIMIT, "ten of ann's are done")
    began = time.monotonic()
    drop("c-bob", "call", "bob")
    spool.wait("c-bob")
    say(f"bob's ran {round((time.monotonic() - began) * 1000)} ms after its drop, beside two of ann's that wait")
    spool.stop()
    spool.start()
    drop("c-eve", "call", "eve")
    spool.wait("c-eve")
    starts = [e for e in spool.audit() if e["event"] == "claimed" and e["job"].startswith("c") and e["job"][1].isdigit()]
    same(len(starts), LIMIT, "starts of ann's over three daemons")
    same(sum(spool.states(f"c{n:02}") == ["new"] for n in range(12)), 2, "of ann's that wait")

    # It opens by itself, and is never more than it says in any interval.
    for n in range(2):
        same(submit(spool, "quick").returncode, 0, f"quick {n + 1} of 2 in 3 s")
    began = time.monotonic()
    until(lambda: submit(spool, "quick").returncode == 0, "a third is taken", every=0.1)
    check(1.5 < time.monotonic() - began < 20, "after the first of them was 3 s old")
    for n in range(18):
        spool.drop(f"s{n:02}", {"type": "slowly"})
    until(lambda: len([n for n in spool.names("done") if n.startswith("s")]) == 18, "18 of 5 per 2 s are done")
    seconds = []
    for event in spool.audit():
        if event["event"] == "claimed" and event["type"] == "slowly":
            at = event["ts"]
            seconds.append(int(at[11:13]) * 3600 + int(at[14:16]) * 60 + float(at[17:-1]))
    seconds.sort()
    most = max(sum(1 for other in seconds if start <= other < start + 1.999) for start in seconds)
    same(most, 5, "the most starts in any 2 s")
    say(f"18 jobs at 5 per 2 s took {seconds[-1] - seconds[0]:.2f} s, 6 s at least")
    check(seconds[-1] - seconds[0] < 9, "and not much longer")

    same(spool.stop(), 0, "exit")
    spool.verify()
finish()
