#!/usr/bin/env python3
"""What the daemon tells systemd (sd_notify(3)), over a socket in a folder and an abstract one."""
import os
import re
import signal
import socket
import time

from daemon import Spool, check, finish, same, scratch, until


class Manager:
    """systemd's end of the socket."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.socket.setblocking(False)
        self.name = name
        self.told = []

    def hear(self):
        while True:
            try:
                self.told.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return self.told

    def wait(self, pattern, since=0):
        """The first message that matches, and its place."""

        def look():
            return next(
                ((index, text) for index, text in enumerate(self.hear()) if index >= since and re.search(pattern, text)),
                None)

        found = until(look, lambda: f"{pattern} among {self.told[since:]}", every=0.02)
        return found or (len(self.told), "")


for name in (os.path.join(scratch(), "notify"), f"@jobspool-test-{os.getpid()}"):
    kind = "abstract" if name.startswith("@") else "path"
    manager = Manager(name)
    with Spool(f"spool-{kind}", 'drain = "20s"\n') as spool:
        spool.handler("gate", f'while [ ! -e {spool.at("open")} ]; do sleep 0.05; done; echo "[$NOTIFY_SOCKET]" >&2; echo 1',
                      "concurrency = 2")
        env = {**os.environ, "NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"}
        env.pop("WATCHDOG_PID", None)
        spool.start(env=env)
        ready, _ = manager.wait(r"^READY=1$")
        check(not any("RELOADING" in text for text in manager.told[:ready]), f"{kind}: ready, said once the queue is open")
        beat, _ = manager.wait(r"^WATCHDOG=1$")
        manager.wait(r"^WATCHDOG=1$", beat + 1)
        check(True, f"{kind}: it gives signs of life without work")
        for number in range(5):
            spool.drop(f"g{number}", {"type": "gate"})
        manager.wait(r"^STATUS=2 running, 3 waiting$")
        check(True, f"{kind}: the status is 2 running, 3 waiting")
        since = len(manager.hear())
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        os.kill(spool.process.pid, signal.SIGHUP)
        place, text = manager.wait(r"^RELOADING=1\nMONOTONIC_USEC=\d+$", since)
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        moment = int(text.split("=")[-1]) if text else 0
        check(before <= moment <= now, f"{kind}: a reload is said with its time")
        manager.wait(r"^READY=1$", place)
        check(True, f"{kind}: and its end")
        since = len(manager.hear())
        os.kill(spool.process.pid, signal.SIGTERM)
        place, _ = manager.wait(r"^STOPPING=1$", since)
        _, text = manager.wait(r"^EXTEND_TIMEOUT_USEC=\d+$", place)
        check(int(text.split("=")[-1]) >= 20_000_000, f"{kind}: a stop asks for time while jobs run")
        manager.wait(r"^STATUS=2 running, .*stopping", since)
        open(spool.at("open"), "w").close()
        # Signal 0: it was asked already.
        same(spool.stop(how=0), 0, f"{kind}: it ends in order")
        same(spool.count("done"), 2, f"{kind}: those that ran are done")
        with open(spool.at("log", "jobs", f"{sorted(spool.names('done'))[0][:-5]}.log")) as file:
            check("[]" in file.read(), f"{kind}: handlers do not get the socket")
        check(not any("READY" in text for text in manager.hear()[place:]), f"{kind}: nothing says ready in a stop")

with Spool("nobody-listens") as spool:
    spool.handler("echo", "cat")
    spool.start(env={**os.environ, "NOTIFY_SOCKET": os.path.join(scratch(), "no-such-socket")})
    spool.drop("e1", {"type": "echo"})
    spool.wait("e1")
    same(spool.stop(), 0, "a socket that is not there harms nothing")

finish()
