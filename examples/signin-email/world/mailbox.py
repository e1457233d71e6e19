#!/usr/bin/env python3
"""A mail server, and an HTTP mail API beside it. mailbox.py FOLDER writes FOLDER/mailbox.json with both addresses and all it gets
to FOLDER/received.jsonl. FOLDER/refused lists addresses that it does not take just now, FOLDER/hanging those at which it falls
silent."""

import asyncio
import http.server
import json
import os
import socket
import sys
import threading

from aiosmtpd.controller import Controller

folder = sys.argv[1]
lock = threading.Lock()


def received(**what):
    with lock, open(os.path.join(folder, "received.jsonl"), "a") as file:
        file.write(json.dumps(what) + "\n")


def listed(name, address):
    try:
        with open(os.path.join(folder, name)) as file:
            return address in file.read().split()
    except FileNotFoundError:
        return False


class Mail:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if listed("hanging", address):
            await asyncio.sleep(600)
        if listed("refused", address):
            return f"451 4.2.1 <{address}> is over quota"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        received(by="smtp", to=envelope.rcpt_tos[0], raw=envelope.content.decode("latin-1"))
        return "250 OK"


class Calls(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        received(by="http", body=json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(202)
        self.end_headers()

    def log_message(self, *_):
        pass


calls = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Calls)
port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
if port == 0:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
Controller(Mail(), hostname="127.0.0.1", port=port).start()
with open(os.path.join(folder, "mailbox.new"), "w") as file:
    json.dump({"smtp": f"127.0.0.1:{port}", "api": f"http://127.0.0.1:{calls.server_address[1]}/send"}, file)
os.rename(os.path.join(folder, "mailbox.new"), os.path.join(folder, "mailbox.json"))
calls.serve_forever()
