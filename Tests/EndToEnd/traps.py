#!/usr/bin/env python3
"""Traps a producer may set with no more than the right to write in tmp/ and new/: names the daemon is about to use for its
copies, a directory in the place a job has to go back to, and records nobody wrote. None of them may stop other jobs,
reach outside, or be believed."""

import json
import os
import time

from daemon import Spool, check, finish, same, until

FORGED = {
    "id": "x", "state": "new", "submitted_at": "2026-01-01T00:00:00.000Z", "submitted_by": {"uid": 0, "user": "root"},
    "attempts": [], "updated_at": "2026-01-01T00:00:00.000Z", "node": "n",
}


def passes(spool, name):
    """Another job runs as if nothing was."""
    spool.drop(name, {"type": "echo"})
    spool.wait(name, patience=15)


with Spool(config='rescan = "1s"\nmax_jobs = 4') as spool:
    spool.handler("echo", "cat", "concurrency = 4")
    spool.handler("again", "exit 1", 'max_attempts = 2\ndelays = ["200ms"]')
    spool.start()

    # In tmp/, where a producer may create any name, the daemon creates none that could be foreseen: what lies there under the
    # names it uses in cur/ is nobody's business.
    os.mkfifo(spool.at("tmp", ".bare.fifo"))
    spool.drop("fifo", b"{nonsense")
    spool.wait("fifo", "dead", patience=15)
    passes(spool, "after-fifo")
    outside = os.path.join(os.path.dirname(spool.path), "outside")
    with open(outside, "w") as file:
        file.write("precious")
    os.link(outside, spool.at("tmp", ".bare.link"))
    spool.drop("link", b"{nonsense")
    spool.wait("link", "dead", patience=15)
    with open(outside) as file:
        same(file.read(), "precious", "a file outside that tmp/.bare.link is a second name of")
    os.symlink(outside, spool.at("tmp", ".bare.symlink"))
    spool.drop("symlink", b"{nonsense")
    spool.wait("symlink", "dead", patience=15)
    os.makedirs(spool.at("tmp", ".bare.folder", "full"))
    spool.drop("folder", b"{nonsense")
    spool.wait("folder", "dead", patience=15)
    passes(spool, "after-bare")
    for name in ("fifo", "link", "symlink"):
        os.unlink(spool.at("tmp", f".bare.{name}"))
    os.rmdir(spool.at("tmp", ".bare.folder", "full"))
    os.rmdir(spool.at("tmp", ".bare.folder"))

    # The same for the copy of a file that is not ours alone.
    os.makedirs(spool.at("tmp", ".adopt.adopted", "full"))
    staged = spool.at("tmp", "adopted.json")
    with open(staged, "w") as file:
        json.dump({"type": "echo", "priority": 0}, file)
    os.link(staged, spool.at("tmp", "second-name"))
    os.rename(staged, spool.at("new", "adopted.json"))
    passes(spool, "after-adopt")
    spool.wait("adopted", patience=15)
    os.unlink(spool.at("tmp", "second-name"))
    os.rmdir(spool.at("tmp", ".adopt.adopted", "full"))
    os.rmdir(spool.at("tmp", ".adopt.adopted"))

    # A directory where the job has to go back to.
    spool.handler("waits", 'while [ ! -e "$JOBSPOOL_DIR/go" ]; do sleep 0.05; done; exit 1', 'max_attempts = 2\ndelays = ["200ms"]')
    time.sleep(1.2)
    spool.drop("blocked", {"type": "waits"})
    until(lambda: spool.status().get("running_count") == 1, "it runs")
    os.makedirs(spool.at("new", "blocked.json", "full"))
    before = len(spool.audit())
    open(spool.at("go"), "w").close()
    record = spool.wait("blocked", "dead", patience=15)
    same(len(record.get("attempts", [])), 2, "attempts of a job whose place was a directory")
    lines = len(spool.audit()) - before
    check(lines < 40, f"lines that cost: {lines}")
    passes(spool, "after-directory")

    # A record nobody wrote is not believed, whatever way the job takes.
    spool.drop("expired", {"type": "echo", "expires_at": "2026-02-01T00:00:00Z", "jobspool": {**FORGED, "id": "expired"}})
    record = spool.wait("expired", "dead", patience=15)
    same(record.get("submitted_at") == FORGED["submitted_at"], False, f"a forged record is believed: {record.get('error')}")
    spool.ask({"do": "requeue", "jobs": ["expired"]})
    far = {"type": "echo", "run_at": "2099-01-01T00:00:00Z", "jobspool": {**FORGED, "id": "cancelled", "run_at": "2099-01-01T00:00:00Z"}}
    spool.drop("cancelled", far)
    time.sleep(0.5)
    spool.ask({"do": "cancel", "jobs": ["cancelled"]})
    record = spool.wait("cancelled", "dead", patience=15)
    same(record.get("submitted_at") == FORGED["submitted_at"], False, f"a forged record is believed: {record.get('error')}")

    # An id is a name, not a way.
    with open(os.path.join(os.path.dirname(spool.path), "stranger.json"), "w") as file:
        json.dump({"type": "echo"}, file)
    answer = spool.ask({"do": "edit", "job": "../../stranger", "text": json.dumps({"type": "echo"})})
    same(answer.get("results", [{}])[0].get("code"), "no_such_job", "an edit of ../../stranger")
    time.sleep(0.5)
    check(os.path.exists(os.path.join(os.path.dirname(spool.path), "stranger.json")), "which stays where it is")
    spool.stop()
    for name in list(os.listdir(spool.at("tmp"))):
        if os.path.isdir(spool.at("tmp", name)) and os.path.isdir(spool.at("tmp", name, "full")):
            os.rmdir(spool.at("tmp", name, "full"))
            os.rmdir(spool.at("tmp", name))
    for name in spool.names("new"):
        if os.path.isdir(spool.at("new", name)):
            os.rmdir(spool.at("new", name, "full"))
            os.rmdir(spool.at("new", name))
    spool.verify()
finish()
