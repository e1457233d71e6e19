#!/usr/bin/env python3
"""The world around the shop: a mail server, and a receiver for the chats (Slack, Discord, the customers'). town.py FOLDER.

Writes FOLDER/town.json when both listen, and everything they get to FOLDER/received.jsonl.
"""

import email
import sys

from world import Calls, address, announce, mail_server, received, server

folder = sys.argv[1]


class Mail:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content)
        received(folder, by="mail", to=envelope.rcpt_tos[0], subject=message["Subject"], id=message["Message-ID"])
        return "250 OK"


class Chats(Calls):
    def do_POST(self):
        received(folder, by=self.path.strip("/"), body=self.body())
        self.answer(204)


chats = server(Chats)
announce(folder, "town", smtp=["127.0.0.1", mail_server(Mail())], chat=address(chats) + "/chat", port=chats.server_address[1])
chats.serve_forever()
