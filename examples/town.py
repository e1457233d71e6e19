#!/usr/bin/env python3
"""The world around a service: a mail server, and whatever takes a POST: chats, webhooks, a gateway for text messages.
town.py FOLDER writes FOLDER/town.json with the addresses, and all it gets to FOLDER/received.jsonl. A GET shows FOLDER/admin.html, on
two ports, which are two origins to a browser."""

import email
import os
import sys
import threading

from world import Calls, address, announce, mail_server, received, server

folder = sys.argv[1]


class Mail:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content)
        received(folder, by="mail", to=envelope.rcpt_tos[0], subject=message["Subject"], id=message["Message-ID"])
        return "250 OK"


class Town(Calls):
    def do_GET(self):
        with open(os.path.join(folder, "admin.html"), "rb") as file:
            self.answer(200, file.read(), "text/html; charset=utf-8")

    def do_POST(self):
        received(folder, by=self.path.strip("/"), body=self.body(), token=self.headers.get("Authorization"))
        self.answer(204)


calls, others = server(Town), server(Town)
threading.Thread(target=others.serve_forever, daemon=True).start()
announce(folder, "town", smtp=mail_server(Mail()), port=calls.server_address[1], other=others.server_address[1], chat=address(calls) + "/chat")
calls.serve_forever()
