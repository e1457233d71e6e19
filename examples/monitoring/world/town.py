#!/usr/bin/env python3
"""The world around the service: a mail server, a chat, a gateway for text messages, and the admin's own page on two origins.
town.py FOLDER writes FOLDER/town.json with the addresses, and all it gets to FOLDER/received.jsonl."""

import email
import os
import sys
import threading

from world import Calls, announce, mail_server, received, server

folder = sys.argv[1]


class Mail:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content)
        received(folder, by="mail", to=envelope.rcpt_tos[0], text=message["Subject"])
        return "250 OK"


class Town(Calls):
    def do_GET(self):
        with open(os.path.join(folder, "admin.html"), "rb") as file:
            self.answer(200, file.read(), "text/html; charset=utf-8")

    def do_POST(self):
        body = self.body()
        received(folder, by=self.path.strip("/"), text=body["text"], to=body.get("to"), token=self.headers.get("Authorization"))
        self.answer(204)


calls, others = server(Town), server(Town)
threading.Thread(target=others.serve_forever, daemon=True).start()
announce(folder, "town", smtp=mail_server(Mail()), port=calls.server_address[1], other=others.server_address[1])
calls.serve_forever()
