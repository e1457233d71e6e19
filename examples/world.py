"""What the small worlds around the examples share: an address that others wait for, a list of what came in, a mail server, and
HTTP calls that answer JSON. Imported by the programs in each example's world/, which get this folder as PYTHONPATH."""

import http.server
import json
import os
import socket
import threading
import time

lock = threading.Lock()


def announce(folder, name, **addresses):
    """Writes FOLDER/NAME.json, in one step, when its program listens."""
    path = os.path.join(folder, f"{name}.json")
    with open(path + "~", "w") as file:
        json.dump(addresses, file)
    os.rename(path + "~", path)


def received(folder, **what):
    """Adds a line to FOLDER/received.jsonl."""
    with lock, open(os.path.join(folder, "received.jsonl"), "a") as file:
        file.write(json.dumps({"at": time.time(), **what}) + "\n")


def mail_server(handler, port=0):
    """Starts an SMTP server (aiosmtpd), on a free port unless one is named, and returns its port."""
    from aiosmtpd.controller import Controller

    if port == 0:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    Controller(handler, hostname="127.0.0.1", port=port).start()
    return port


class Calls(http.server.BaseHTTPRequestHandler):
    """Handlers of calls: `body()` is what came, as JSON; `answer` sends the answer."""

    protocol_version = "HTTP/1.1"

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")

    def answer(self, status, value=None, type_="application/json"):
        data = value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode() + b"\n"
        self.send_response(status)
        if data:
            self.send_header("Content-Type", type_)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def server(calls):
    """An HTTP server on a free port; the caller runs it."""
    return http.server.ThreadingHTTPServer(("127.0.0.1", 0), calls)


def address(one):
    return f"http://127.0.0.1:{one.server_address[1]}"
