#!/usr/bin/env python3
"""`encrypt`: what a job keeps secret is in no file of the spool, whatever happens to the job, and its handler sees it."""

import hashlib
import json
import os
import pwd
import signal
import subprocess
import threading

from daemon import Spool, check, finish, program, same, say, skip, until

SECRET = "correct-horse-battery-9f3e"
NEEDLE = SECRET.encode()
HASH = hashlib.sha256(NEEDLE).hexdigest()
FORM = '{"n": 1, "password": "%s", "user": "anna"}' % SECRET

# Tells that it saw the clear text by its hash alone; what it does besides, the payload says.
HANDLER = r"""
import hashlib, json, os, sys, time
job = json.loads(sys.stdin.readline())
payload = job["payload"]
if payload.get("fail", 0) >= job["attempt"]:
    sys.exit(75)
while payload.get("wait") and not os.path.exists(os.environ["JOBSPOOL_DIR"] + "/go"):
    time.sleep(0.02)
secret = payload["password"]
with open(os.environ["JOBSPOOL_JOB"], "rb") as file:
    assert secret.encode() not in file.read()
print(json.dumps({"saw": hashlib.sha256(secret.encode()).hexdigest(), "sealed": '"$sealed"' in json.dumps(payload)}))
"""


class Sampler(threading.Thread):
    """Reads every file of the spool again and again, looking for the secret."""

    def __init__(self, *roots):
        super().__init__(daemon=True)
        self.roots, self.found, self.files, self.over = roots, {}, 0, threading.Event()

    def run(self):
        while not self.over.is_set():
            self.look()

    def look(self):
        for root in self.roots:
            for folder, _, names in os.walk(root):
                for name in names:
                    path = os.path.join(folder, name)
                    try:
                        with open(path, "rb") as file:
                            self.files += 1
                            if NEEDLE in file.read():
                                self.found[path] = True
                    except OSError:
                        pass

    def stop(self):
        self.over.set()
        self.join()
        self.look()
        return sorted(self.found)


def cli(spool, *arguments, input_=None, user=None, code=0):
    done = subprocess.run(
        [program("jobspool"), *arguments, "--spool", spool.path], input=input_, capture_output=True, text=True, cwd="/",
        **({"user": user, "group": user, "extra_groups": []} if user else {}),
    )
    same(done.returncode, code, f"jobspool {' '.join(arguments[:2])} ends with{' ' + done.stderr if done.stderr else ''}")
    return done


def sealed(job):
    return isinstance(job["payload"]["password"], dict) and job["payload"]["password"].get("$sealed") == "v1"


spool = Spool()
handler = lambda settings="": spool.handler(
    "login", HANDLER, 'encrypt = ["/payload/password"]\nmax_attempts = 4\ndelays = ["0s", "0s", "0s"]\n' + settings,
    interpreter="/usr/bin/python3",
)
handler()
user = None
if os.geteuid() == 0:
    user = pwd.getpwnam("nobody").pw_uid

with spool:
    # Without a key nothing is written.
    refused = cli(spool, "submit", "login", "--payload", FORM, code=78)
    check("data.pub" in refused.stderr, f"the refusal says what is missing: {refused.stderr}")
    same(spool.count("new", "tmp"), 0, "files after the refusal")

    spool.start()
    until(lambda: os.path.exists(spool.at("data.pub")), "data.pub")
    same(os.stat(spool.at("secret", "data.key")).st_mode & 0o777, 0o600, "mode of the private key")
    same(os.stat(spool.at("data.pub")).st_mode & 0o777, 0o644, "mode of the public key")

    # Submitted by somebody who may not read the key.
    if user is not None:
        top = spool.path
        while top != "/" and top != "/tmp":
            os.chmod(top, os.stat(top).st_mode | 0o055)
            top = os.path.dirname(top)
        for folder in ("new", "tmp"):
            os.chmod(spool.at(folder), 0o1777)
        os.chmod(spool.at("handlers"), 0o755)
    sampler = Sampler(spool.path)
    sampler.start()
    ids = [cli(spool, "submit", "login", "--payload", FORM, user=user).stdout.strip() for _ in range(3)]
    bulk = "".join(
        json.dumps({"type": "login", "payload": {"password": SECRET, "fail": 2 * (n % 2)}}) + "\n" for n in range(10)
    )
    then = json.dumps({"type": "login", "payload": {"password": SECRET}})
    ids += cli(spool, "submit", "--bulk", "-", "--then", then, input_=bulk, user=user).stdout.split()
    same(len(ids), 14, "ids of what was submitted")
    for id_ in ids:
        record = spool.wait(id_)
        same(record.get("result"), {"saw": HASH, "sealed": False}, "what the handler saw")
    check(all(sealed(spool.job("done", id_)) for id_ in ids), "all of them rest sealed")
    shown = cli(spool, "show", ids[0]).stdout
    check("•••" in shown and "$sealed" not in shown, "show masks the field")

    # kill -9 while it runs, and a requeue.
    slow = cli(
        spool, "submit", "login", "--payload", json.dumps({"password": SECRET, "wait": True}), user=user
    ).stdout.strip()
    until(lambda: slow in [run["id"] for run in spool.status().get("running", [])], "the slow job runs")
    spool.stop(signal.SIGKILL)
    open(spool.at("go"), "w").close()
    spool.start()
    same(spool.wait(slow).get("result", {}).get("saw"), HASH, "what it saw after kill -9")
    same(spool.record("done", slow)["attempt"], 2, "its attempts")
    os.rename(spool.at("done", f"{slow}.json"), spool.at("new", f"{slow}.json"))
    until(lambda: len(spool.events(slow, "finished")) == 2, "the requeued job runs again")
    same(spool.wait(slow).get("result", {}).get("saw"), HASH, "what it saw after the requeue")

    # Held, edited in clear, released.
    held = cli(
        spool, "submit", "login", "--id", "held", "--delay", "1h", "--payload", FORM, user=user
    ).stdout.strip()
    until(lambda: spool.events(held, "submitted"), "the delayed job is seen")
    cli(spool, "edit", held, "--file", "-", input_='{"type": "login", "payload": %s}' % FORM)
    same(spool.wait(held).get("result", {}).get("saw"), HASH, "what it saw after the edit")
    same(sampler.stop(), [], "files that ever held the secret")
    say(f"{sampler.files} reads of files while {len(ids) + 2} jobs ran")

    # Changed by somebody: refused with a reason, and not tried again.
    job = spool.job("done", ids[0])
    del job["jobspool"]
    text = job["payload"]["password"]["ct"]
    job["payload"]["password"]["ct"] = ("B" if text[0] == "A" else "A") + text[1:]
    job.pop("id", None)
    spool.drop("tampered", job)
    record = spool.wait("tampered", "dead")
    same((record["outcome"], record["error"]["code"]), ("rejected", "cannot_open"), "how the changed one ended")
    same(record["attempt"], 0, "its attempts")

    # Dropped in clear: sealed at its claim, whatever becomes of it. Waiting it lies there as it was dropped.
    clear = {"type": "login", "payload": {"password": SECRET}}
    spool.drop("clear", clear)
    same(spool.wait("clear").get("result", {}).get("saw"), HASH, "what a job dropped in clear saw")
    spool.drop("failing", {"type": "login", "payload": {"password": SECRET, "fail": 9}})
    spool.drop("late", {**clear, "expires_at": "2001-01-01T00:00:00Z"})
    spool.drop("cancelled", {**clear, "delay": "1h"})
    until(lambda: spool.events("cancelled", "submitted"), "the delayed job is seen")
    spool.ask({"do": "cancel", "jobs": ["cancelled"]})
    for id_ in ("failing", "late", "cancelled"):
        spool.wait(id_, "dead")
        check(sealed(spool.job("dead", id_)), f"{id_} rests sealed")
    spool.drop("clear", {**clear, "tags": ["again"]})
    until(lambda: [e for e in spool.audit() if e["event"] == "duplicate"], "the second one is a duplicate")
    check("clear:login" in spool.alerts(), f"there is an alert: {spool.alerts()}")
    same(len([e for e in spool.audit() if e.get("code") == "clear:login"]), 1, "alerts about text in clear")
    last = Sampler(spool.path)
    last.look()
    same(sorted(last.found), [], "files that hold the secret in the end")
    check(NEEDLE not in spool.said(), "the daemon never said it")

    # The key is gone: the type waits and says why, others run.
    spool.stop()
    os.rename(spool.at("secret", "data.key"), spool.at("secret", "kept"))
    spool.handler("plain", "echo 1")
    spool.start()
    check("data.key" in spool.alerted("handler:login"), "the alert names the missing key")
    spool.drop("plain", {"type": "plain"})
    spool.wait("plain")
    waiting = cli(spool, "submit", "login", "--payload", FORM).stdout.strip()
    os.rename(spool.at("secret", "kept"), spool.at("secret", "data.key"))
    spool.process.send_signal(signal.SIGHUP)
    same(spool.wait(waiting).get("result", {}).get("saw"), HASH, "what it saw once the key was back")
    spool.verify()
    same(spool.stop(), 0, "the daemon ends with")
finish()
