#!/usr/bin/env python3
"""The daemon as the first process of a container: it runs jobs, reaps what others leave behind, and stops in order."""
import os
import shutil
import signal
import subprocess

from daemon import Spool, check, finish, same, skip, until

if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("nsenter"):
    skip("needs root, unshare and nsenter, to make a container")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def zombies(pid):
    found = []
    for child in children(pid):
        with open(f"/proc/{child}/stat") as file:
            if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                found.append(child)
    return found


with Spool("spool") as spool:
    spool.handler("echo", "cat")
    spool.start(prefix=["unshare", "--pid", "--fork", "--mount", "--kill-child", "sh", "-c",
                        'mount -t proc proc /proc; exec "$@"', "sh"])
    daemon = until(lambda: children(spool.process.pid), "the daemon below unshare")[0]
    with open(f"/proc/{daemon}/status") as file:
        same([line.split()[-1] for line in file if line.startswith("NSpid:")], ["1"], "it is process 1 of its namespace")
    spool.drop("e1", {"type": "echo"})
    spool.wait("e1")
    # What `podman exec` and health checks do: a process from outside, whose child outlives it.
    subprocess.run(["nsenter", "-t", str(daemon), "-p", "-m", "sh", "-c", "for i in 1 2 3; do sleep 0.1 & done"], check=True)
    until(lambda: len(zombies(daemon)) == 3, "three orphans to end below the daemon")
    until(lambda: not zombies(daemon), "the daemon to reap them", 20)
    check(not zombies(daemon), "orphans are reaped, also while there is no job")
    os.kill(daemon, signal.SIGTERM)
    same(spool.stop(how=0), 0, "it stops in order")
    spool.verify()

finish()
