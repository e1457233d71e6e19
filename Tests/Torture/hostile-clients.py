#!/usr/bin/env python3
"""What a hostile client of the HTTP API may do: requests that are none or two at once, heads and bodies that never end,
thousands of connections, WebSocket floods, paths that climb, forged cursors, bad tokens by the thousand. It gets 4xx or a closed
connection, never 5xx; memory stays bounded, others are served meanwhile, and the daemon does not notice. SHORT=1 does less of
the same. STRICT=0 leaves out what is only a matter of taste."""

import os
import re
import resource
import select
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "EndToEnd"))

from daemon import alive, check, finish, same, say, until
from socketclient import Refused, Socket
from web import Web, token

SHORT = os.environ.get("SHORT") == "1"
HOST = b"Host: 127.0.0.1\r\n"
JOB = b'{"type":"nothing"}'


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) >> 10 for line in file if line.startswith("VmRSS"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def raw(spool, data, patience=5.0):
    """Sends the bytes; what comes back until the server closes or says nothing more. `None` at the end: it closed."""
    connection = socket.create_connection(("127.0.0.1", spool.port), timeout=patience)
    got = b""
    try:
        for start in range(0, len(data), 65536):
            connection.sendall(data[start:start + 65536])
    except OSError:
        pass  # It has seen enough.
    closed = False
    end = time.monotonic() + patience
    while not closed and time.monotonic() < end:
        if not select.select([connection], [], [], 0.3 if got else max(0, end - time.monotonic()))[0]:
            break
        try:
            piece = connection.recv(65536)
        except OSError:
            piece = b""
        closed = not piece
        got += piece
    connection.close()
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d\d\d) ", got)], closed


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


class Bystander(threading.Thread):
    """A well-behaved client all the while: what it asks is answered, and soon."""

    def __init__(self, spool):
        super().__init__(daemon=True)
        self.spool, self.over, self.waits, self.faults = spool, threading.Event(), [], []
        self.start()

    def run(self):
        while not self.over.is_set():
            began = time.monotonic()
            try:
                answer = self.spool.get("/v1/queue", timeout=20)
                if answer.status != 200:
                    self.faults.append(answer.status)
            except OSError as error:
                self.faults.append(str(error))
            self.waits.append(time.monotonic() - began)
            time.sleep(0.05)

    def end(self, what, most):
        self.over.set()
        self.join(30)
        same(self.faults[:3], [], f"requests of another client that failed during {what}")
        worst = max(self.waits)
        check(worst < most, f"another client's slowest of {len(self.waits)} requests during {what}: {worst * 1000:.0f} ms")


def shapes(spool, limits):
    bearer = f"Authorization: Bearer {spool.token}\r\n".encode()
    post = b"POST /v1/jobs HTTP/1.1\r\n" + HOST + bearer
    chunked = post + b"Transfer-Encoding: chunked\r\n\r\n"
    get = b"GET /healthz HTTP/1.1\r\n" + HOST
    # What two parsers in a row may read in two ways: refused, and the connection is closed.
    ambiguous = {
        "length and chunks": post + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get + b"\r\n",
        "chunks and length": post + b"Transfer-Encoding: chunked\r\nContent-Length: 99\r\n\r\n0\r\n\r\n",
        "two lengths": post + b"Content-Length: 18\r\nContent-Length: 5\r\n\r\n" + JOB,
        "a list of lengths": post + b"Content-Length: 18, 18\r\n\r\n" + JOB,
        "+length": post + b"Content-Length: +18\r\n\r\n" + JOB,
        "-length": post + b"Content-Length: -1\r\n\r\n" + JOB,
        "hex length": post + b"Content-Length: 0x12\r\n\r\n" + JOB,
        "length beyond 64 bits": post + b"Content-Length: 99999999999999999999\r\n\r\n" + JOB,
        "unknown coding": post + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "coding after chunked": post + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "two codings": post + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n\r\n0\r\n\r\n",
        "space before the colon": post + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "vertical tab": post + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        "folded line": b"GET /v1/me HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n" + bearer + b"\r\n",
        "bare LF": b"GET /healthz HTTP/1.1\nHost: a\n\n",
        "bare CR": b"GET /healthz HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        "NUL in a value": b"GET /healthz HTTP/1.1\r\nHost: a\0b\r\n\r\n",
        "NUL in the path": b"GET /heal\0thz HTTP/1.1\r\n" + HOST + b"\r\n",
        "space in a name": b"GET /healthz HTTP/1.1\r\nHo st: a\r\n\r\n",
        "no name": b"GET /healthz HTTP/1.1\r\n: a\r\n\r\n",
        "no colon": get + b"XXXX\r\n\r\n",
        "chunk extension over lines": chunked + b'12;a="b\r\n"\r\n' + JOB + b"\r\n0\r\n\r\n",
        "negative chunk": chunked + b"-12\r\n" + JOB + b"\r\n0\r\n\r\n",
        "0x chunk": chunked + b"0x12\r\n" + JOB + b"\r\n0\r\n\r\n",
        "huge chunk": chunked + b"f" * 17 + b"\r\n" + JOB + b"\r\n0\r\n\r\n",
        "chunk with bare LF": chunked + b"12\n" + JOB + b"\n0\n\n",
        "length as a trailer": chunked + b"12\r\n" + JOB + b"\r\n0\r\nContent-Length: 5\r\nX: y\r\n\r\n",
        "HTTP/0.9": b"GET /\r\n\r\n",
        "HTTP/1.2": b"GET /healthz HTTP/1.2\r\n" + HOST + b"\r\n",
        "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
        "TLS": bytes.fromhex("160301020001000100") + bytes(200),
        "noise": bytes(range(256)) * 20,
        "an unknown method": b"FOO /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
        "no path": b"GET healthz HTTP/1.1\r\n" + HOST + b"\r\n",
        "another's authority": b"GET @evil/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
        "a path of 40 KB": b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        "a field of 200 KB": get + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        "5,000 fields": get + b"X: a\r\n" * 5000 + b"\r\n",
        "50,000 trailers": chunked + b"12\r\n" + JOB + b"\r\n0\r\n" + b"X: b\r\n" * 50_000 + b"\r\n",
        "10 GB announced": post + b"Content-Length: 10000000000\r\n\r\n" + JOB,
    }
    for name, data in ambiguous.items():
        codes, closed = raw(spool, data)
        good = len(codes) <= 1 and all(400 <= code < 500 for code in codes) and closed
        check(good, f"{name}: {codes or 'no answer'}, {'closed' if closed else 'open'}")
    # Well formed, but not to be had; or harmless.
    others = {
        "TRACE": b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n", "CONNECT": b"CONNECT a:80 HTTP/1.1\r\n" + HOST + b"\r\n",
        "OPTIONS *": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", "two tokens": get.replace(b"healthz", b"v1/me") + bearer + bearer + b"\r\n",
        "HTTP/2 by upgrade": get + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n",
        "100,000 levels": post + b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000,
        "100,000 objects": post.replace(b"jobs", b"jobs/bulk", 1) + b"Content-Length: 500000\r\n\r\n" + b'{"a":' * 100_000,
        "a body that GET has no use for": get + b"Content-Length: 5\r\n\r\nhello" + get + b"\r\n",
        "Range": get + b"Range: bytes=0-,0-,0-\r\n\r\n", "1,000 requests at once": (get + b"\r\n") * 1000,
        "an extension of 1 MB": chunked + b"12;" + b"a" * 1_000_000 + b"\r\n" + JOB + b"\r\n0\r\n\r\n",
        "300,000 empty lines": b"\r\n" * 300_000,
    }
    for name, data in others.items():
        codes, closed = raw(spool, data)
        check(all(code < 500 for code in codes), f"{name}: {len(codes)} answers {sorted(set(codes))}")
    check(len(raw(spool, others["1,000 requests at once"])[0]) == 1000, "each of 1,000 requests at once has its answer")
    limits("requests of odd shapes")

    paths = ["/v1/jobs/..%2f..%2fetc", "/v1/jobs/%2e%2e/%2e%2e", "/v1/jobs/a%2Fb", "/v1/jobs/%00", "/v1/jobs/a%00.json",
             "/v1/jobs/../me", "/./v1/me", "/v1/jobs/%", "/v1/jobs/%zz", "/v1/jobs/%ff%fe", "/v1/jobs/" + "a" * 200, "/v1/jobs/..",
             "/assets/..%2f..%2f..%2fetc/passwd", "/assets/../../etc/passwd", "/assets/%2e%2e/x", "/v1/jobs/a;b",
             "/v1/jobs?limit=99999999999999999999", "/v1/jobs?limit=-1", "/v1/jobs?limit=1e3", "/v1/jobs?cursor=" + "A" * 20_000,
             "/v1/jobs?cursor=" + "A" * 8000, "/v1/jobs?cursor=AAAA", "/v1/jobs?cursor=eyJhIjoxfQ", "/v1/jobs?cursor=%00",
             "/v1/jobs?" + "&".join(["state=done"] * 2000), "/v1/jobs?%ff=1", "/v1/jobs?from=9999-99-99T99:99:99Z",
             "/v1/jobs?sort=__proto__", "/v1/jobs?state[]=x", "/v1/jobs?meta.=x", "/v1/jobs/x/log?from=-1",
             "/v1/jobs/x/log?from=99999999999999999999", "/v1/schedules/..%2fx", "/v1/types/..%2f/pause", "/v1/stats?x=1",
             "/v1/jobs#frag", "/v1/events", "/metrics/../v1/me"]
    for path in paths:
        codes, _ = raw(spool, f"GET {path} HTTP/1.1\r\n".encode() + HOST + bearer + b"Connection: close\r\n\r\n")
        check(len(codes) == 1 and 400 <= codes[0] < 500, f"{path[:60]}: {codes}")
    # Searches that would be costly as patterns are plain text.
    for text in ("(a%2B)%2B%24" * 100, "a" * 10_000, ".*" * 2000, "%F0%9F%98%80" * 1000):
        for key in ("q", "q_payload", "tag", "meta.x"):
            began = time.monotonic()
            answer = spool.get(f"/v1/jobs?{key}={text}")
            check(answer.status < 500 and time.monotonic() - began < 2, f"{key} of {len(text)} bytes: {answer.status}")


def endless(spool, limits):
    """A body in chunks that never ends is cut off; so is a head that comes a byte at a time."""
    connection = socket.create_connection(("127.0.0.1", spool.port), timeout=30)
    connection.sendall(b"POST /v1/jobs HTTP/1.1\r\n" + HOST + f"Authorization: Bearer {spool.token}\r\n".encode()
                       + b"Transfer-Encoding: chunked\r\n\r\n")
    began = time.monotonic()
    sent, piece = 0, b"10000\r\n" + b" " * 65536 + b"\r\n"
    try:
        while time.monotonic() < began + 30:
            connection.sendall(piece)
            sent += len(piece)
    except OSError:
        pass
    took = time.monotonic() - began
    check(took < 20, f"a body without end is cut off after {sent >> 20} MB and {took:.1f} s")
    connection.close()
    limits("a body without end")


def crowds(spool, limits):
    """Connections that say next to nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 30_000), hard))
    other = Bystander(spool)
    time.sleep(0.3)
    slow = []
    for number in range(300 if SHORT else 1000):
        connection = socket.create_connection(("127.0.0.1", spool.port), timeout=10)
        connection.sendall(b"GET /v1/jobs HTTP/1.1\r\nX-A: ")
        slow.append(connection)
    until_ = time.monotonic() + (3 if SHORT else 75)
    while time.monotonic() < until_:
        for connection in slow:
            try:
                connection.send(b"b")
            except OSError:
                pass
        time.sleep(1)
    other.end(f"{len(slow)} slow heads", 5)
    if not SHORT:
        gone = sum(1 for one in slow if select.select([one], [], [], 0)[0])
        same(gone, len(slow), "slow heads that were cut off within 75 s")
    for connection in slow:
        connection.close()
    until(lambda: spool.get("/healthz").status == 200, "it serves")

    # More than it takes: the rest waits in the kernel's queue or is refused, and it lives.
    crowd = []
    count = 1500 if SHORT else 10_000
    began = time.monotonic()
    for number in range(count):
        connection = socket.socket()
        connection.setblocking(False)
        try:
            connection.connect(("127.0.0.1", spool.port))
        except BlockingIOError:
            pass
        crowd.append(connection)
    time.sleep(2)
    limits(f"{count} connections", descriptors_most=2000)
    if not SHORT:
        # Idle ones are closed after 30 s, so whoever waits gets in.
        end = time.monotonic() + 120
        served = None
        while served is None and time.monotonic() < end:
            try:
                served = spool.get("/healthz", timeout=100).status
            except OSError:
                time.sleep(1)
        same(served, 200, f"a request while {count} connections stand, after {time.monotonic() - began:.0f} s")
    for connection in crowd:
        connection.close()
    until(lambda: spool.get("/healthz").status == 200, "it serves after the crowd has gone")


def sockets(spool, limits):
    """WebSockets."""
    def opened(**more):
        client = Socket(spool.port, token=spool.token, **more)
        return client

    def ends(what, send, codes):
        client = opened()
        client.socket.settimeout(8)
        try:
            send(client)
        except OSError:
            pass
        # It is sent figures every few seconds, so silence is nothing to wait for.
        ended, end = False, time.monotonic() + 8
        try:
            while not ended and time.monotonic() < end:
                ended = client.next(8) is None
        except TimeoutError:
            pass
        check(ended and client.closed in codes, f"{what}: closed with {client.closed}")
        client.close()

    ends("a frame without mask", lambda c: c.send_frame(1, b"{}", masked=False), (1002, None))
    ends("a frame of 2^63 bytes", lambda c: c.socket.sendall(b"\x81\xff" + b"\x7f" + b"\xff" * 7 + b"abcd"), (1002, 1009, None))
    ends("a message of 1 MB", lambda c: c.send_frame(1, b" " * (1 << 20)), (1009, None))
    ends("a message in 10,000 pieces", lambda c: [c.send_frame(1 if n == 0 else 0, b"a", fin=False) for n in range(10_000)],
         (1002, 1009, None))
    ends("a ping in two pieces", lambda c: c.send_frame(9, b"a", fin=False), (1002, None))
    ends("a ping of 200 bytes", lambda c: c.send_frame(9, b"a" * 200), (1002, None))
    ends("reserved bits", lambda c: c.socket.sendall(b"\xf1\x80abcd"), (1002, None))
    ends("an unknown opcode", lambda c: c.send_frame(5, b"{}"), (1002, None))
    ends("bytes that are no UTF-8", lambda c: c.send_frame(1, b"\xff\xfe"), (1007, None))
    ends("1,000 messages that are none", lambda c: [c.send_frame(1, b"nonsense") for _ in range(1000)], (1002, None))
    ends("1,000 binary messages", lambda c: [c.send_frame(2, b"nonsense") for _ in range(1000)], (1002, None))
    ends("100,000 levels", lambda c: [c.send_frame(1, b"[" * 16_000) for _ in range(150)], (1002, None))
    limits("WebSocket frames of odd shapes")

    # Pings without end, by one who does not read the answers; and 10,000 subscriptions of another.
    other = Bystander(spool)
    flood = opened()
    flood.socket.settimeout(5)
    ping = b"\x89\xfd" + b"abcd" + b"x" * 125
    sent = 0
    try:
        for _ in range(2000 if SHORT else 40_000):
            flood.socket.sendall(ping * 16)
            sent += 16
    except OSError:
        pass
    busy = opened()
    busy.socket.settimeout(5)
    count = 0
    try:
        for number in range(1000 if SHORT else 10_000):
            busy.send({"event": "subscribe:jobs", "filter": {"type": f"t{number}"}})
            count += 1
    except OSError:
        pass
    other.end(f"{sent} pings and {count} subscriptions", 5)
    limits("floods of WebSocket messages")
    flood.close()
    busy.close()

    idle = []
    for _ in range(100):
        try:
            idle.append(Socket(spool.port))
        except Refused as refused:
            check(False, f"a WebSocket whose token comes later: {refused}")
            break
    time.sleep(6.5)
    closed = 0
    for client in idle:
        try:
            while client.next(3) is not None:
                pass
            closed += 1
        except (TimeoutError, OSError):
            pass
        client.close()
    same(closed, len(idle), "WebSockets without a token that are closed after 5 s")


def tokens(spool, limits):
    """Bad tokens by the thousand, and a page of another site."""
    wrong = []
    for number in range(300 if SHORT else 5000):
        answer = spool.get("/v1/queue", token=token(key=number.to_bytes(32, "big"), sub=f"x{number}"))
        if answer.status not in (401, 429):
            wrong.append(answer.status)
    same(wrong[:3], [], "answers to forged tokens other than 401 and 429")
    huge = spool.get("/v1/queue", token="a." * 5000 + "b")
    check(400 <= huge.status < 500, f"a token of 5,000 parts: {huge.status}")
    foreign = spool.post("/v1/jobs", {"type": "nothing"}, token=None, headers={"Origin": "https://evil.example", "Cookie": "a=b"})
    same(foreign.status, 401, "a form of another site, without a token")
    check("access-control-allow-origin" not in {key.lower() for key in foreign.headers}, "which may not read the answer")
    try:
        Socket(spool.port, token=spool.token, origin="https://evil.example")
        check(False, "a WebSocket of another site")
    except Refused as refused:
        same(refused.args[0], 403, "a WebSocket of another site")
    limits("forged tokens")


with Web(config="max_jobs = 4") as spool:
    spool.handler("nothing", "exit 0", "concurrency = 4")
    spool.serve()
    check(spool.get("/v1/queue").status == 200, "it serves")
    pid, daemon = web_pid(spool), spool.process.pid
    first = resident(pid)
    daemon_first = spool.resident()[0]

    def limits(what, descriptors_most=1200):
        now = resident(pid) if alive(pid) else 0
        check(alive(pid) and now < first + 150, f"after {what}: {now} MB resident, {first} at first")
        check(descriptors(pid) < descriptors_most, f"and {descriptors(pid)} descriptors")

    for attack in (shapes, endless, sockets, tokens, crowds):
        began = time.monotonic()
        attack(spool, limits)
        say(f"{attack.__name__}: {time.monotonic() - began:.1f} s, {resident(pid)} MB")
    same(web_pid(spool), pid, "the web program is the one that was started")
    same(spool.process.poll(), None, "the daemon runs")
    check(spool.resident()[0] < daemon_first + (20 << 20), f"the daemon has {spool.resident()[0] >> 20} MB")
    spool.drop("after-all", {"type": "nothing"})
    spool.wait("after-all")
    same(spool.stop(), 0, "exit")
    said = spool.said().decode(errors="replace")
    same([line for line in said.splitlines() if "incident" in line or "Fatal" in line][:3], [], "errors of ours in the log")
    spool.verify()
finish()
