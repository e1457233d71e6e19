#!/usr/bin/env python3
"""The world around the service: a mail server, a chat, a gateway for text messages, and the admin's own page on two origins. town.py FOLDER writes FOLDER/town.json with the addresses, and all it gets to FOLDER/received.jsonl."""

import email
import http.server
import json
import os
import socket
import sys
import threading
import time

from aiosmtpd.controller import Controller

folder = sys.argv[1]
lock = threading.Lock()


def received(**what):
    with lock, open(os.path.join(folder, "received.jsonl"), "a") as file:
        file.write(json.dumps({"at": time.time(), **what}) + "\n")


class Mail:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content)
        received(by="mail", to=envelope.rcpt_tos[0], text=message["Subject"])
        return "250 OK"


class Calls(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(os.path.join(folder, "admin.html"), "rb") as file:
            page = file.read()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        received(by=self.path.strip("/"), text=body["text"], to=body.get("to"), token=self.headers.get("Authorization"))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


calls, others = (http.server.ThreadingHTTPServer(("127.0.0.1", 0), Calls) for _ in range(2))
threading.Thread(target=others.serve_forever, daemon=True).start()
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    mail_port = free.getsockname()[1]
Controller(Mail(), hostname="127.0.0.1", port=mail_port).start()
with open(os.path.join(folder, "town.new"), "w") as file:
    json.dump({"smtp": mail_port, "port": calls.server_address[1], "other": others.server_address[1]}, file)
os.rename(os.path.join(folder, "town.new"), os.path.join(folder, "town.json"))
calls.serve_forever()
