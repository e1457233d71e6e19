#!/usr/bin/env python3
"""A secret submitted by the HTTP API: in clear in no file of the spool while it waits, runs and ends, in no answer, in no
log of the programs, and in no backup, even one with the keys."""

import hashlib
import os
import shutil
import subprocess
import threading

from daemon import check, finish, program, same, say, until
from web import Web

SECRET = "correct-horse-api-51c7"
NEEDLE = SECRET.encode()
HANDLER = (
    "import hashlib, json, sys\n"
    "password = json.loads(sys.stdin.readline())['payload']['password']\n"
    "print(json.dumps(hashlib.sha256(password.encode()).hexdigest()))\n"
)


def holding(*roots):
    found = []
    for root in roots:
        for folder, _, names in os.walk(root):
            for name in names:
                try:
                    with open(os.path.join(folder, name), "rb") as file:
                        if NEEDLE in file.read():
                            found.append(os.path.join(folder, name))
                except OSError:
                    pass
    return found


with Web(config="max_jobs = 2") as spool:
    spool.handler("login", HANDLER, 'encrypt = ["/payload/password"]\n', interpreter="/usr/bin/python3")
    spool.serve()
    until(lambda: os.path.exists(spool.at("data.pub")), "data.pub")
    over, seen, looks = threading.Event(), set(), [0]

    def watch():
        while not over.is_set():
            seen.update(holding(spool.path))
            looks[0] += 1

    watcher = threading.Thread(target=watch)
    watcher.start()
    jobs = [{"type": "login", "id": f"j{n}", "payload": {"password": SECRET, "n": n}} for n in range(20)]
    answers = [spool.post("/v1/jobs", job) for job in jobs[:10]]
    same({answer.status for answer in answers}, {202}, "answers to single jobs")
    same(spool.post("/v1/jobs", jobs[10:]).status, 202, "answer to ten at once")
    for job in jobs:
        spool.wait(job["id"])
    results = {spool.job("done", job["id"])["jobspool"]["result"] for job in jobs}
    same(results, {hashlib.sha256(NEEDLE).hexdigest()}, "what the handlers saw, hashed")
    late = spool.post("/v1/jobs", {"type": "login", "id": "late", "delay": "1h", "payload": {"password": SECRET}})
    same(late.status, 202, "answer to one that waits")
    for path in ("/v1/jobs/j0", "/v1/jobs/late", "/v1/jobs", "/v1/jobs/j0/log", "/v1/jobs/j0/audit", "/v1/jobs?q=" + SECRET):
        check(NEEDLE not in spool.call("GET", path).body.replace(f"?q={SECRET}".encode(), b""), f"{path} does not tell it")
    over.set()
    watcher.join()
    same(sorted(seen), [], f"files that had it in clear at any of {looks[0]} looks")
    same(holding(spool.path), [], "files that have it in clear at the end")
    check(NEEDLE not in spool.said(), "nor do the programs say it")
    if shutil.which("rsync"):
        for more in ([], ["--with-secrets"]):
            target = os.path.normpath(spool.at("..", "vault" + str(len(more))))
            done = subprocess.run([program("jobspool"), "backup", target, "--spool", spool.path, *more], capture_output=True)
            same(done.returncode, 0, f"a backup{' with its keys' if more else ''} {done.stderr.decode()}")
            same(holding(target), [], "files of the backup that have it in clear")
    else:
        say("rsync is not installed: no backup was looked at")
finish()
