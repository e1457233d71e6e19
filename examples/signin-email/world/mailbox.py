#!/usr/bin/env python3
"""A mail server, and an HTTP mail API beside it. mailbox.py FOLDER writes FOLDER/mailbox.json with both addresses and all it gets
to FOLDER/received.jsonl. FOLDER/refused lists addresses that it does not take just now, FOLDER/hanging those at which it falls
silent."""

import asyncio
import os
import sys

from world import Calls, address, announce, mail_server, received, server

folder = sys.argv[1]


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
        received(folder, by="smtp", to=envelope.rcpt_tos[0], raw=envelope.content.decode("latin-1"))
        return "250 OK"


class MailAPI(Calls):
    def do_POST(self):
        received(folder, by="http", body=self.body())
        self.answer(202)


calls = server(MailAPI)
port = mail_server(Mail(), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
announce(folder, "mailbox", smtp=f"127.0.0.1:{port}", api=address(calls) + "/send")
calls.serve_forever()
