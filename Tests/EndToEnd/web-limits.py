#!/usr/bin/env python3
"""What the web program does when something is at its end: the disk, the number of connections, the time to send a request. It says
so, takes nothing, and goes on by itself. DISK=no leaves out the small file system, which needs root."""

import os
import resource
import socket
import subprocess
import time

from daemon import check, finish, same, say, scratch, until
from web import Web


def problem(answer, status, code, what):
    found = answer.json
    good = answer.status == status and answer.headers["Content-Type"] == "application/problem+json"
    check(good and found.get("code") == code and found.get("detail"), f"{what}: {answer.status} {answer.body[:200]!r}")
    return answer


def fill(path, leave=0):
    """Takes every byte there is, and gives some back."""
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 256):
            try:
                while True:
                    file.write(b"f" * size)
            except OSError:
                pass
        if leave:
            file.truncate(max(0, file.tell() - leave))


def full_disk():
    mount = os.path.join(scratch(), "small")
    os.mkdir(mount)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,nr_inodes=2000", "none", mount]).returncode != 0:
        return say("a small file system cannot be mounted here: the full disk is left out")
    try:
        with Web(path=os.path.join(mount, "spool"), config='max_jobs = 2\nmin_free = "2M"') as spool:
            spool.log = os.path.join(scratch(), "small.stderr")
            spool.handler("echo", "cat")
            spool.serve()
            before = spool.post("/v1/jobs", {"type": "echo", "payload": 1}).json["id"]
            spool.wait(before)
            for what, leave in (("less than min_free", 1 << 20), ("nothing", 0)):
                fill(os.path.join(mount, "full"), leave)
                until(lambda: spool.post("/v1/jobs", {"type": "echo"}).status == 503, f"{what} is free: refused")
                names = spool.count("new", "cur", "done")
                answer = problem(spool.post("/v1/jobs", {"type": "echo", "id": "late"}), 503, "no_space", f"with {what} free")
                check(int(answer.headers["Retry-After"] or 0) > 0, f"Retry-After: {answer.headers['Retry-After']}")
                many = spool.post("/v1/jobs", [{"type": "echo"}, {"type": "echo"}])
                problem(many, 503, "no_space", "many at once")
                same(spool.states("late"), [], "nothing of it was taken")
                same(spool.count("new", "cur", "done"), names, "nor of the others")
                same(spool.get(f"/v1/jobs/{before}/result").json["payload"], 1, "reading goes on")
                same(spool.get("/readyz", token=None).status, 503, "and it says that it is not ready")
                os.unlink(os.path.join(mount, "full"))
                late = until(lambda: (found := spool.post("/v1/jobs", {"type": "echo"})).status == 202 and found,
                             "with room again jobs are taken")
                spool.wait(late.json["id"])
            # No more names: the other way to be full.
            made = []
            try:
                while True:
                    path = os.path.join(mount, f"name-{len(made)}")
                    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
                    made.append(path)
            except OSError:
                pass
            answer = until(lambda: (found := spool.post("/v1/jobs", {"type": "echo"})).status == 503 and found,
                           "no inode is free: refused")
            problem(answer, 503, "no_space", "without inodes")
            for path in made:
                os.unlink(path)
            until(lambda: spool.post("/v1/jobs", {"type": "echo"}).status == 202, "with names again jobs are taken")
            check(b"incident" not in spool.said(), "none of it was trouble of its own")
            until(lambda: spool.count("new", "cur") == 0, "all of them run")
            same(spool.stop(), 0, "it ends in order")
    finally:
        subprocess.run(["umount", "-l", mount])


def web_pid(spool):
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
                if words[0].endswith(b"jobspool-web") and spool.path.encode() in words:
                    return int(entry)
            except OSError:
                pass
    return None


def connections():
    most = 1024
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < most + 200:
        return say(f"only {hard} descriptors may be open here: the limit of connections is left out")
    # Ours are raised, the program's are what a shell gives it: it has to raise them itself.
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Web(config="max_jobs = 2") as spool:
        spool.handler("echo", "cat")
        spool.serve(prefix=["prlimit", f"--nofile=1024:{hard}", "--"])
        pid = web_pid(spool)

        def resident():
            with open(f"/proc/{pid}/status") as file:
                return int(dict(line.split(":", 1) for line in file)["VmRSS"].split()[0]) * 1024

        before = resident()
        idle = [socket.create_connection(("127.0.0.1", spool.port)) for _ in range(most + 20)]
        open_now = lambda: len(os.listdir(f"/proc/{pid}/fd"))
        until(lambda: open_now() >= most, lambda: f"{most} connections are taken, {open_now()} files are open")
        say(f"{most} idle connections cost {(resident() - before) / 1e6:.1f} MB")
        spool.drop("beside", {"type": "echo"})
        spool.wait("beside")
        one = socket.create_connection(("127.0.0.1", spool.port))
        one.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        one.settimeout(0.5)
        try:
            check(False, f"one connection more has to wait: {one.recv(100)!r}")
        except TimeoutError:
            check(open_now() < most + 100, f"one connection more waits: {open_now()} files are open")
        for connection in idle[:100]:
            connection.close()
        one.settimeout(30)
        check(one.recv(4096).startswith(b"HTTP/1.1 200"), "when others go, it has its turn")
        for connection in idle[100:]:
            connection.close()
        until(lambda: open_now() < 100, "all of them are gone")
        same(spool.get("/healthz").status, 200, "and it answers as before")
        check(b"Too many open files" not in spool.said(), "it never ran out of descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


if os.environ.get("DISK") != "no" and os.geteuid() == 0:
    full_disk()
connections()
finish()
