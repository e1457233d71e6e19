#!/usr/bin/env python3
"""The world around the shop: a mail server, and a receiver for the chats (Slack, Discord, the customers'). town.py FOLDER.

Writes FOLDER/addresses.json when both listen, and everything they get to FOLDER/received.jsonl.
"""

import email
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


class Mail:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content)
        received(by="mail", to=envelope.rcpt_tos[0], subject=message["Subject"], id=message["Message-ID"])
        return "250 OK"


class Chats(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        received(by=self.path.strip("/"), body=body)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


chats = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Chats)
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    mail_port = free.getsockname()[1]
smtp = Controller(Mail(), hostname="127.0.0.1", port=mail_port)
smtp.start()
port = chats.server_address[1]
addresses = {"smtp": ["127.0.0.1", mail_port], "chat": f"http://127.0.0.1:{port}/chat", "port": port}
with open(os.path.join(folder, "addresses.new"), "w") as file:
    json.dump(addresses, file)
os.rename(os.path.join(folder, "addresses.new"), os.path.join(folder, "addresses.json"))
chats.serve_forever()
