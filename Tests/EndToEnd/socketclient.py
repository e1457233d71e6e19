"""A WebSocket client in the standard library alone, and HTTP with a token: what a foreign client of jobspool-web does.

Not executable: it is no test of its own.
"""

import atexit
import base64
import hashlib
import hmac
import http.client
import json
import os
import select
import socket
import struct
import subprocess
import time

from daemon import PATIENCE, check, program, until

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def token(spool, role="viewer", subject="anna", ttl=3600, key=None):
    """A JWT made by hand from the key file."""
    def packed(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    if key is None:
        with open(os.path.join(spool, "secret", "web.key")) as file:
            key = bytes.fromhex(file.read().strip())
    head = packed(b'{"alg":"HS256","typ":"JWT"}')
    claims = packed(json.dumps({"role": role, "sub": subject, "exp": int(time.time()) + ttl}).encode())
    signature = packed(hmac.new(key, head + b"." + claims, hashlib.sha256).digest())
    return b".".join([head, claims, signature]).decode()


def make_key(spool):
    path = os.path.join(spool, "secret")
    os.makedirs(path, mode=0o700, exist_ok=True)
    path = os.path.join(path, "web.key")
    with open(path, "w") as file:
        file.write(os.urandom(32).hex() + "\n")
    os.chmod(path, 0o640)


class Web:
    """jobspool-web on a spool, on a port of its own."""

    def __init__(self, spool, log):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = log
        self.file = open(log, "ab")
        self.process = subprocess.Popen(
            [program("jobspool-web"), "--spool", spool, "--listen", f"127.0.0.1:{self.port}"],
            stdin=subprocess.DEVNULL, stdout=self.file, stderr=self.file, cwd="/")
        # Also when the script breaks off.
        atexit.register(self.process.kill)
        until(self.answers, lambda: f"jobspool-web answers; it says {open(log).read()[-2000:]}")

    def answers(self):
        try:
            return self.get("/healthz")[0] == 200
        except OSError:
            return False

    def get(self, path, token=None, headers=None, method="GET", body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        self.headers = answer.headers
        return answer.status, data

    def json(self, path, token):
        status, data = self.get(path, token)
        check(status == 200, f"GET {path}: {status}" + ("" if status == 200 else f" {data[:300]!r}"))
        return json.loads(data)

    def resident(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["VmRSS"].split()[0]) * 1024

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None


class Refused(Exception):
    pass


class Socket:
    def __init__(self, port, token=None, protocols=(), origin=None, path="/v1/events", headers=(), version="13"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", f"Sec-WebSocket-Version: {version}", *headers]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        if protocols:
            lines.append("Sec-WebSocket-Protocol: " + ", ".join(protocols))
        if origin:
            lines.append(f"Origin: {origin}")
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise Refused(f"closed without an answer: {self.buffer!r}")
            self.buffer += data
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        self.status = int(head.split()[1])
        self.headers = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:])
        if self.status != 101:
            raise Refused(self.status)
        right = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        assert right.lower() == self.headers["sec-websocket-accept"], self.headers
        self.closed = None

    def send_frame(self, opcode, data, fin=True, masked=True):
        mask = os.urandom(4)
        head = bytes([(0x80 if fin else 0) | opcode])
        bit = 0x80 if masked else 0
        if len(data) < 126:
            head += bytes([bit | len(data)])
        elif len(data) < 65536:
            head += bytes([bit | 126]) + struct.pack(">H", len(data))
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", len(data))
        if masked:
            head += mask
            data = bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))
        self.socket.sendall(head + data)

    def send(self, message):
        self.send_frame(TEXT, message if isinstance(message, bytes) else json.dumps(message).encode())

    def fill(self, count, end):
        while len(self.buffer) < count:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise TimeoutError
            data = self.socket.recv(1 << 18)
            if not data:
                raise EOFError
            self.buffer += data

    def frame(self, patience=None):
        end = time.monotonic() + (patience or PATIENCE)
        self.fill(2, end)
        length, start = self.buffer[1] & 127, 2
        if length == 126:
            self.fill(4, end)
            length, start = struct.unpack(">H", self.buffer[2:4])[0], 4
        elif length == 127:
            self.fill(10, end)
            length, start = struct.unpack(">Q", self.buffer[2:10])[0], 10
        self.fill(start + length, end)
        opcode, data = self.buffer[0] & 15, self.buffer[start:start + length]
        self.buffer = self.buffer[start + length:]
        return opcode, data

    def next(self, patience=None):
        """The next message; None when the server closed, whose code is then in `closed`."""
        while True:
            try:
                opcode, data = self.frame(patience)
            except (EOFError, ConnectionResetError):
                return None
            if opcode == TEXT:
                return json.loads(data)
            if opcode == PING:
                self.send_frame(PONG, data)
            if opcode == CLOSE:
                self.closed = struct.unpack(">H", data[:2])[0] if len(data) >= 2 else 1005
                return None

    def wait(self, event, patience=None, **members):
        """The next message of that kind; others are passed over."""
        while True:
            message = self.next(patience)
            if message is None or (message["event"] == event and all(message.get(k) == v for k, v in members.items())):
                return message

    def close(self):
        self.socket.close()
