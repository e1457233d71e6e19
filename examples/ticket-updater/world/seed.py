#!/usr/bin/env python3
"""Makes the service's database and the foreign site's people: seed.py FOLDER [USERS]. Every second user wants automatic downloads.
The service knows no passwords yet: they come by the call `set-credentials`."""

import json
import os
import sqlite3
import sys

folder, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 40
db = sqlite3.connect(os.path.join(folder, "service.db"))
db.executescript("""
PRAGMA journal_mode = WAL;
CREATE TABLE users (id TEXT PRIMARY KEY, login TEXT, password BLOB, auto_download INTEGER DEFAULT 0,
                    last_login_status TEXT, last_login_error TEXT, last_login_at TEXT);
CREATE TABLE base_ticket (one INTEGER PRIMARY KEY, sha256 TEXT, changed_at TEXT);
CREATE TABLE tickets (version INTEGER PRIMARY KEY, user_id TEXT, job TEXT UNIQUE, sha256 TEXT, content BLOB, stored_at TEXT);
""")
with db:
    db.executemany("INSERT INTO users (id, auto_download) VALUES (?, ?)", [("admin", 0)] + [(f"u{n:03}", n % 2) for n in range(count)])
people = {"admin@uni.example.org": "Base-Secret-0"} | {f"u{n:03}@uni.example.org": f"Secret-{n:03}-pw" for n in range(count)}
with open(os.path.join(folder, "people.json"), "w") as file:
    json.dump(people, file)
with open(os.path.join(folder, "base.txt"), "w") as file:
    file.write("winter term")
descriptor = os.open(os.path.join(folder, "credentials.key"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
os.write(descriptor, os.urandom(32))
