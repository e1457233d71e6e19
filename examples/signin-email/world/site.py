#!/usr/bin/env python3
"""The web site that people sign in to. site.py SPOOL FOLDER writes FOLDER/site.json with its address.

    POST /sign-in {userId, provider}: {success, session}

A sign-in is a row in the site's own database. Its notice is dropped into the spool after that, by rename; when the spool is
away the row waits, and a look every half second drops it later. The session is the job's id: no sign-in has two notices.
"""

import http.server
import json
import os
import sqlite3
import sys
import threading
import time
import uuid
from datetime import datetime, timezone

SPOOL, FOLDER = sys.argv[1:3]
SCHEMA = "CREATE TABLE IF NOT EXISTS sessions (session TEXT PRIMARY KEY, payload TEXT, queued INTEGER DEFAULT 0)"
dropping = threading.Lock()


def database():
    db = sqlite3.connect(os.path.join(FOLDER, "site.db"), timeout=30, isolation_level=None)
    db.execute(SCHEMA)
    return db


# What replaces `queue.add(...)`: from here ...

def drop(id_, job):
    staged = os.path.join(SPOOL, "tmp", uuid.uuid4().hex)
    with open(staged, "x") as file:
        json.dump(job, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(staged, os.path.join(SPOOL, "new", f"{id_}.json"))
    except FileExistsError:
        pass  # dropped before, and it still waits
    finally:
        os.unlink(staged)
    folder = os.open(os.path.join(SPOOL, "new"), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def queue_notices():
    with dropping:
        db = database()
        for session, payload in db.execute("SELECT session, payload FROM sessions WHERE NOT queued").fetchall():
            drop(session, {"type": "signin-email", "payload": json.loads(payload)})
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


class Site(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
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
        data = json.dumps({"success": True, "session": session}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


database().close()
threading.Thread(target=notify_of_sign_ins, daemon=True).start()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
with open(os.path.join(FOLDER, "site.new"), "w") as file:
    json.dump({"url": f"http://127.0.0.1:{server.server_address[1]}"}, file)
os.rename(os.path.join(FOLDER, "site.new"), os.path.join(FOLDER, "site.json"))
server.serve_forever()
