#!/usr/bin/env python3
"""The web site that people sign in to. site.py SPOOL FOLDER writes FOLDER/site.json with its address.

    POST /sign-in {userId, provider}: {success, session}

A sign-in is a row in the site's own database. Its notice is dropped into the spool after that, by rename; when the spool is
away the row waits, and a look every half second drops it later. The session is the job's id: no sign-in has two notices.
"""

import json
import os
import sqlite3
import sys
import threading
import uuid
from datetime import datetime, timezone

from drop import drop
from world import Calls, address, announce, server

SPOOL, FOLDER = sys.argv[1:3]
SCHEMA = "CREATE TABLE IF NOT EXISTS sessions (session TEXT PRIMARY KEY, payload TEXT, queued INTEGER DEFAULT 0)"
dropping = threading.Lock()


def database():
    db = sqlite3.connect(os.path.join(FOLDER, "site.db"), timeout=30, isolation_level=None)
    db.execute(SCHEMA)
    return db


# What replaces `queue.add(...)`: from here ...

def queue_notices():
    with dropping:
        db = database()
        for session, payload in db.execute("SELECT session, payload FROM sessions WHERE NOT queued").fetchall():
            try:
                drop(SPOOL, session, json.dumps({"type": "signin-email", "payload": json.loads(payload)}, ensure_ascii=False))
            except FileExistsError:
                pass  # dropped before, and it still waits
            db.execute("UPDATE sessions SET queued = 1 WHERE session = ?", (session,))
        db.close()


def notify_of_sign_ins():
    while True:
        try:
            queue_notices()
        except OSError as error:
            print(f"the queue is away: {error}", file=sys.stderr, flush=True)
        signed_in.wait(0.5)
        signed_in.clear()

# ... to here.


signed_in = threading.Event()


class Site(Calls):
    def do_POST(self):
        asked = self.body()
        session = f"signin-{uuid.uuid4()}"
        payload = {
            "userId": asked["userId"], "email": asked.get("email", f"{asked['userId']}@example.org"),
            "name": asked.get("name", "Бат-Эрдэнэ"), "provider": asked["provider"], "ipAddress": self.client_address[0],
            "userAgent": self.headers.get("User-Agent", ""),
            "timestamp": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        db = database()
        db.execute("INSERT INTO sessions (session, payload) VALUES (?, ?)", (session, json.dumps(payload)))
        db.close()
        signed_in.set()
        self.answer(200, {"success": True, "session": session})


database().close()
threading.Thread(target=notify_of_sign_ins, daemon=True).start()
site = server(Site)
announce(FOLDER, "site", url=address(site))
site.serve_forever()
