#!/usr/bin/env python3
"""Clients that take their time, at the limits as they are: heads and bodies that never end, answers that nobody reads, connections
that say nothing. Each loses its connection within the minute docs/API.md promises, and meanwhile nobody else waits."""

import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "EndToEnd"))
from daemon import check, finish, same, say  # noqa: E402
from web import Web  # noqa: E402

MOST = 75


class Slow(threading.Thread):
    """Sends what it has at once, then a byte each half second, until the server closes."""

    def __init__(self, port, what, begin, drip=b"", reads=True):
        super().__init__(daemon=True)
        self.what, self.begin, self.drip, self.reads, self.port = what, begin, drip, reads, port
        self.took, self.answer = None, b""

    def run(self):
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            if not self.reads:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            try:
                connection.sendall(self.begin)
                connection.settimeout(0.5)
                while time.monotonic() - began < MOST + 30:
                    if self.drip:
                        connection.sendall(self.drip)
                    if not self.reads:
                        time.sleep(0.5)
                        # A connection that was cut off says so when it is written to.
                        connection.send(b"x")
                        continue
                    try:
                        data = connection.recv(65536)
                        if not data:
                            break
                        self.answer += data
                    except TimeoutError:
                        pass
                else:
                    return
            except (ConnectionError, BrokenPipeError):
                pass
        self.took = time.monotonic() - began


with Web(config="max_jobs = 2") as spool:
    spool.handler("echo", "cat")
    spool.serve()
    # Something large to read.
    many = [{"type": "echo", "payload": "x" * 2000, "meta": {"filler": "y" * 900}} for _ in range(1000)]
    same(spool.post("/v1/jobs", many).status, 202, "1,000 jobs")
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + spool.token.encode() + b"\r\n"
    list_ = b"GET /v1/jobs?limit=1000 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + spool.token.encode() + b"\r\n\r\n"
    clients = [
        Slow(spool.port, "a connection that says nothing", b""),
        Slow(spool.port, "a head that never ends", b"GET /healthz HTTP/1.1\r\nHost: a\r\n", b"X: y\r\n"),
        Slow(spool.port, "a first line that never ends", b"GET /", b"a"),
        Slow(spool.port, "a body that never ends", head + b"Content-Length: 100000\r\n\r\n[", b" "),
        Slow(spool.port, "a body in chunks that never ends", head + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        Slow(spool.port, "a body without a token", b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", b"x"),
        Slow(spool.port, "nobody who reads", list_ * 40, reads=False),
        Slow(spool.port, "a second head that never ends", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /he", b"a"),
    ]
    for client in clients:
        client.start()
    worst, began = 0.0, time.monotonic()
    while any(client.is_alive() for client in clients) and time.monotonic() - began < MOST:
        asked = time.monotonic()
        same(spool.get("/healthz").status, 200, "somebody else") if time.monotonic() - began < 1 else spool.get("/healthz")
        worst = max(worst, time.monotonic() - asked)
        time.sleep(0.2)
    for client in clients:
        said = client.answer[:12].decode(errors="replace")
        took = f"closed after {client.took:.0f} s" if client.took else "still open"
        check(client.took is not None and client.took < MOST, f"{client.what}: {took}{said and ', answered ' + said}")
    check(clients[5].answer.startswith(b"HTTP/1.1 401"), "who has no token is told at once")
    check(clients[7].answer.startswith(b"HTTP/1.1 200"), "the first of two requests was answered")
    say(f"others waited {worst * 1000:.0f} ms at most")
    same(spool.post("/v1/jobs", {"type": "echo"}).status, 202, "it goes on")
    spool.stop()

finish()
