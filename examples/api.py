"""The HTTP API as an example's test uses it: the daemon with its web program on a free port, tokens from `jobspool token
create`, and calls with one. Standard library only."""

import http.client
import json
import os
import socket
import threading
import urllib.parse

from frame import until

import socketclient

LISTEN = '\n[web]\nlisten = "127.0.0.1:0"\n'


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return {}


class API:
    """Calls with one token; each thread keeps its connection."""

    def __init__(self, port, token):
        self.port, self.token, self.kept = port, token, threading.local()

    def call(self, path, body=None, method=None, headers=None):
        """`body` as an object, or as bytes."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        head = {"Content-Type": "application/json", **(headers or {})}
        if self.token:
            head["Authorization"] = f"Bearer {self.token}"
        for again in (True, False):
            connection = getattr(self.kept, "connection", None)
            if connection is None:
                connection = self.kept.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                connection.request(method or ("GET" if data is None else "POST"), path, data, head)
                answer = connection.getresponse()
                return Answer(answer.status, answer.headers, answer.read())
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.kept.connection = None
                if not again:
                    raise

    def jobs(self, **filters):
        return self.call("/v1/jobs?" + urllib.parse.urlencode(filters, doseq=True)).json


def serve(example):
    """Starts the daemon of an example made with LISTEN and returns the port of its web program."""
    mark = os.path.getsize(example.log) if os.path.exists(example.log) else 0
    example.start("--config", example.at("jobspool.toml"))

    def port():
        lines = [line for line in example.said(mark).decode(errors="replace").splitlines() if " on http://" in line]
        return int(lines[-1].rsplit(":", 1)[1]) if lines else None

    return until(port, lambda: f"jobspool-web listens: {example.said(mark)[-1000:]}")


def token(example, role, subject, *more):
    return example.cli("token", "create", "--role", role, "--subject", subject, *more).strip().splitlines()[-1]


class Live(list):
    """The events of jobs as they happen, which a thread adds."""

    def __init__(self, port, token):
        self.line = socketclient.Socket(port, token)
        self.line.send({"event": "subscribe:jobs", "filter": {}})
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        try:
            while message := self.line.next(3600):
                self.append(message)
        except (OSError, TimeoutError, ValueError):
            pass

    def stop(self):
        self.line.socket.shutdown(socket.SHUT_RDWR)
