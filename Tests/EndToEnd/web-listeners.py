#!/usr/bin/env python3
"""Many who listen at once: a foreign client (the Python library websockets) hears a job's life in order; 200 listeners and one that
never reads, of whom nobody notices the other; a burst of more than a megabyte of log. LISTENERS is how many (200)."""

import json
import os
import re
import selectors
import signal
import socket
import sys
import time

import daemon
from daemon import TOP, check, finish, same, say, scratch, until
from socketclient import Socket, Web, make_key, token

COUNT = int(os.environ.get("LISTENERS", "200"))
JOBS = 150

daemon.program("jobspool-web")
spool = daemon.Spool("spool", config="max_jobs = 4\n[web]\nstats_interval = \"1h\"\n")
spool.handler("steps", """
echo '{"progress":10}' >&3; sleep 0.3
echo '{"progress":60,"stage":"half"}' >&3; sleep 0.3
echo '{"ok":true}'""", "concurrency = 4")
spool.handler("quick", "exit 0", "concurrency = 4")
make_key(spool.path)


class Listener:
    """Reads frames as they come; only what is looked for is parsed."""

    seen = re.compile(rb'"id":"(many-\d+)"')

    def __init__(self, port, viewer):
        self.socket = Socket(port, viewer)
        self.socket.wait("ready")
        self.socket.send({"event": "subscribe:jobs", "filter": {"type": "quick"}})
        self.socket.wait("subscribed")
        self.buffer = self.socket.buffer
        self.delays, self.ended, self.order, self.messages = [], 0, {}, 0

    def take(self, now):
        data = self.socket.socket.recv(1 << 18)
        if not data:
            return False
        self.buffer += data
        at = 0
        while len(self.buffer) - at >= 2:
            length, start = self.buffer[at + 1] & 127, at + 2
            if length == 126:
                length, start = int.from_bytes(self.buffer[at + 2:at + 4], "big"), at + 4
            elif length == 127:
                length, start = int.from_bytes(self.buffer[at + 2:at + 10], "big"), at + 10
            if len(self.buffer) < start + length:
                break
            if self.buffer[at] == 0x81:
                self.message(self.buffer[start:start + length], now)
            at = start + length
        self.buffer = self.buffer[at:]
        return True

    def message(self, text, now):
        found = self.seen.search(text)
        if not found:
            return
        self.messages += 1
        step = 0 if b'"change":"submitted"' in text else 1 if b'"change":"claimed"' in text else 2 if b'"change":"finished"' in text else 3
        if step < 3:
            self.order.setdefault(found[1], []).append(step)
        if step == 0:
            self.delays.append(now - dropped_at[found[1].decode()])
        self.ended += step == 2


dropped_at = {}


def flow(listeners, prefix, count):
    """Drops jobs and reads for everybody until all have heard of all of them; the delays of the first events."""
    for one in listeners:
        one.delays, one.ended, one.order = [], 0, {}
        one.seen = re.compile(rb'"id":"(' + prefix.encode() + rb'-\d+)"')
    chooser = selectors.DefaultSelector()
    for one in listeners:
        chooser.register(one.socket.socket, selectors.EVENT_READ, one)
    dropped, due, end = 0, time.monotonic(), time.monotonic() + daemon.PATIENCE
    while any(one.ended < count for one in listeners):
        now = time.monotonic()
        if now > end:
            break
        if dropped < count and now >= due:
            name = f"{prefix}-{dropped}"
            dropped_at[name] = time.monotonic()
            spool.drop(name, {"type": "quick", "meta": {"filler": "x" * 900}})
            dropped, due = dropped + 1, now + 0.02
        for key, _ in chooser.select(max(0, min(due - time.monotonic(), 0.02)) if dropped < count else 0.1):
            if not key.data.take(time.monotonic()):
                chooser.unregister(key.fileobj)
    chooser.close()
    same(sum(one.ended >= count for one in listeners), len(listeners), f"listeners that heard all {count} ends")
    good = sum(all(steps == [0, 1, 2] for steps in one.order.values()) for one in listeners)
    same(good, len(listeners), "and every job's events in order, once")
    delays = sorted(delay for one in listeners for delay in one.delays) or [0]
    return [delays[len(delays) * share // 100] * 1000 for share in (50, 99)]


with spool:
    spool.start()
    web = Web(spool.path, os.path.join(scratch(), "web.stderr"))
    viewer = token(spool.path)

    # A foreign client.
    sys.path.insert(0, os.environ.get("PEERS", os.path.join(TOP, ".build", "python")))
    try:
        from websockets.sync.client import connect
    except ImportError:
        say("the library websockets is not installed (.ci/install-peers): the foreign client is left out")
        connect = None
    if connect:
        import websockets

        with connect(f"ws://127.0.0.1:{web.port}/v1/events", additional_headers={"Authorization": f"Bearer {viewer}"}) as foreign:
            def hear(event):
                while (message := json.loads(foreign.recv(timeout=daemon.PATIENCE)))["event"] != event:
                    pass
                return message

            hear("ready")
            foreign.send(json.dumps({"event": "subscribe:jobs", "filter": {"type": "steps"}}))
            hear("subscribed")
            latencies = []
            for number in range(3):
                began = time.monotonic()
                spool.drop(f"life-{number}", {"type": "steps"})
                heard = [hear("job-update")]
                latencies.append((time.monotonic() - began) * 1000)
                while heard[-1]["change"] not in ("finished", "buried"):
                    heard.append(hear("job-update"))
                changes = [message["change"] for message in heard]
                wanted = [change for change in changes if change in ("submitted", "claimed", "finished")]
                same(wanted, ["submitted", "claimed", "finished"], "websockets hears a job's life in order")
                check(changes.index("claimed") < changes.index("progress") < changes.index("finished"), f"with its progress: {changes}")
                same({message["job"]["id"] for message in heard}, {f"life-{number}"}, "and of no other job")
            say(f"websockets {websockets.__version__}: first event after " + ", ".join(f"{latency:.0f}" for latency in latencies) + " ms")
            check(min(latencies) < 100, "the first event within 100 ms of the drop")

    # Many, first by themselves, then beside one that never reads.
    listeners = [Listener(web.port, viewer) for _ in range(COUNT)]
    alone = flow(listeners, "alone", JOBS // 3)
    before = web.resident()
    lazy = Socket(web.port, viewer)
    lazy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.send({"event": "subscribe:jobs"})
    lazy.wait("subscribed")
    beside = flow(listeners, "many", JOBS)
    for name, (median, worst) in (("alone", alone), ("beside one that never reads", beside)):
        say(f"{COUNT} listeners {name}: first event after p50 {median:.0f} ms, p99 {worst:.0f} ms")
    check(beside[0] < 2000, "nobody waits for long")
    # More for nobody in particular, until the lazy one is given up.
    number = 0

    def given_up():
        global number
        flow(listeners, f"more{number}", 10)
        number += 1
        with open(web.log) as file:
            return "reads too slowly and is dropped" in file.read()

    until(given_up, "the one that never reads is given up", patience=120)
    grown = web.resident() - before
    say(f"memory of jobspool-web grew by {grown / 1e6:.1f} MB to {web.resident() / 1e6:.0f} MB")
    check(grown < 80e6, "memory is bounded")
    heard, last = 0, None
    lazy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    while (message := lazy.next(patience=20)) is not None:
        last = message
        heard += message["event"] == "job-update"
    same((last or {}).get("code"), "slow", f"it is told so, after the {heard} events that were under way")
    same(lazy.closed, 4408, "and closed")
    # It goes on where it was.
    for one in listeners:
        one.socket.close()

    # A megabyte and more of log at once: nobody who reads misses any of it.
    reader = Socket(web.port, viewer)
    reader.wait("ready")
    reader.send({"event": "subscribe:jobs"})
    reader.wait("subscribed")
    size = sum(os.path.getsize(spool.at("log", name)) for name in os.listdir(spool.at("log")) if name.startswith("audit-"))
    os.kill(web.process.pid, signal.SIGSTOP)
    burst = [f"burst-{number}" for number in range(1100)]
    for id_ in burst:
        spool.drop(id_, {"type": "quick", "delay": "1h", "meta": {"filler": "y" * 950}})
    until(lambda: size + (1 << 20) < sum(os.path.getsize(spool.at("log", name)) for name in os.listdir(spool.at("log"))
                                         if name.startswith("audit-")), "a megabyte of log is written")
    os.kill(web.process.pid, signal.SIGCONT)
    missing = set(burst)
    while missing and (message := reader.next(patience=30)) is not None:
        if message["event"] == "job-update" and message["change"] == "submitted":
            missing.discard(message["job"]["id"])
            check(message["job"]["phase"] == "scheduled", "it waits for its time") if len(missing) == 1 else None
    same((len(missing), reader.closed), (0, None), f"jobs of a burst of {len(burst)} that were not heard of")
    for id_ in burst:
        os.unlink(spool.at("new", f"{id_}.json"))
    same(web.stop(), 0, "it ends in order")
    spool.stop()

finish()
