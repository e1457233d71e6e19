#!/usr/bin/env python3
"""jobspoold and its web program: started with it, restarted when it dies, ended with it; never a reason for a job to wait."""

import json
import os
import signal
import socket
import subprocess
import threading
import time

from daemon import alive, check, finish, program, same, say, until
from web import Web, token


def web_pids(spool):
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
                ours = words[0].endswith(b"jobspool-web") and spool.path.encode() in words and b"--lifeline" in words
                if ours and alive(int(entry)):
                    found.append(int(entry))
            except OSError:
                pass
    return found


with Web(config="max_jobs = 4") as spool:
    spool.handler("nothing", "exit 0", "concurrency = 4")
    spool.serve()
    pids = web_pids(spool)
    same(len(pids), 1, "one web program")
    descriptors = {os.readlink(f"/proc/{pids[0]}/fd/{fd}") for fd in os.listdir(f"/proc/{pids[0]}/fd")}
    check(not any("/lock" in name or "audit-" in name for name in descriptors), "it inherited neither lock nor log")

    # Killed under load: no job waits for it.
    stop = threading.Event()
    sent, lost = [], []

    def submit():
        while not stop.is_set():
            try:
                answer = spool.post("/v1/jobs", {"type": "nothing"})
                if answer.status == 202:
                    sent.append(answer.json["id"])
            except OSError:
                lost.append(1)
                time.sleep(0.01)

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(sent) > 50, "jobs flow")
    waits = []
    for round_ in range(2):
        old = web_pids(spool)
        mark = len(spool.said())
        os.kill(old[0], signal.SIGKILL)
        began = time.monotonic()
        spool.drop(f"beside-{round_}", {"type": "nothing"})
        spool.wait(f"beside-{round_}")
        waits.append(time.monotonic() - began)
        spool.find(mark)
        more = len(sent)
        until(lambda: len(sent) > more + 10, "jobs flow again")
    stop.set()
    for thread in threads:
        thread.join()
    until(lambda: all(spool.states(id_) == ["done"] for id_ in sent), "every accepted job is done")
    say(f"{len(sent)} jobs accepted around 2 kills of jobspool-web, {len(lost)} requests refused; a job beside took {max(waits) * 1000:.0f} ms")
    until(lambda: "web" not in spool.alerts(), "the alert goes once it runs again")

    # A client that dawdles loses its connection, others do not notice.
    lazy = socket.create_connection(("127.0.0.1", spool.port))
    lazy.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n")
    same(spool.get("/healthz").status, 200, "a client that never ends its head holds up nobody")

    # With the daemon it ends, however that goes.
    pids = web_pids(spool)
    spool.process.kill()
    began = time.monotonic()
    until(lambda: not any(alive(pid) for pid in pids), "the web program ends with a killed daemon")
    check(time.monotonic() - began < 1.5, f"within a second: {time.monotonic() - began:.2f} s")
    spool.stop()
    spool.serve()
    pids = web_pids(spool)
    same(spool.stop(), 0, "a daemon that is told to stop")
    check(not any(alive(pid) for pid in pids), "has no web program left")

    # Not wanted, missing, or in the way: an alert at most.
    spool.start("--no-web")
    same(web_pids(spool), [], "--no-web")
    spool.stop()
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    spool.configure(f'[web]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"')
    spool.start("--config", spool.at("jobspool.toml"))
    check("jobspool-web" in spool.alerted("web"), "an address in use is an alert")
    spool.drop("anyway", {"type": "nothing"})
    spool.wait("anyway")
    mark = len(spool.said())
    spool.configure('[web]\nlisten = "127.0.0.1:0"')

    def answers():
        # A start that was due anyway may have read the new address, and is replaced all the same.
        spool.find(mark)
        try:
            return spool.get("/healthz").status == 200
        except OSError:
            return False

    check(until(answers, "another address counts at once"), "another address counts at once")
    spool.stop()

    # A socket file.
    path = os.path.join(spool.path, "web.sock")
    spool.configure(f'[web]\nlisten = "unix:{path}"')
    spool.start("--config", spool.at("jobspool.toml"))
    until(lambda: os.path.exists(path), "the socket file")
    with socket.socket(socket.AF_UNIX) as connection:
        until(lambda: connection.connect_ex(path) == 0, "it listens")
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        check(connection.recv(4096).startswith(b"HTTP/1.1 200"), "it answers")
    spool.stop()
    # What a killed program was writing lies in tmp/ until the sweeper's time has come.
    for name in os.listdir(spool.at("tmp")):
        os.unlink(spool.at("tmp", name))
    spool.verify()

finish()
