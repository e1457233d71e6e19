#!/usr/bin/env python3
"""The web application's database and uploads, with rows on both sides of every threshold: seed.py FOLDER.

What each job has to take away is marked in the data (an id or a name ending in "old"), never by the job's own rule.
"""

import json
import os
import sqlite3
import sys

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT, phone TEXT, avatar TEXT, karma INTEGER NOT NULL DEFAULT 0,
                    deleted_at TEXT);
CREATE TABLE projects (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users, title TEXT, image TEXT);
CREATE TABLE contributions (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users, author TEXT, body TEXT);
CREATE TABLE invitations (id TEXT PRIMARY KEY, user_id INTEGER REFERENCES users, email TEXT, status TEXT, created_at TEXT);
CREATE TABLE push_tokens (id TEXT PRIMARY KEY, user_id INTEGER REFERENCES users, created_at TEXT, last_used_at TEXT);
CREATE TABLE audit_logs (id TEXT PRIMARY KEY, user_id INTEGER REFERENCES users, ip TEXT, user_agent TEXT, action TEXT,
                         metadata TEXT, created_at TEXT, anonymized_at TEXT);
CREATE TABLE uploads (id TEXT PRIMARY KEY, user_id INTEGER REFERENCES users, path TEXT, created_at TEXT);
CREATE TABLE account_deletions (user_id INTEGER PRIMARY KEY, mode TEXT, requested_at TEXT, finalized_at TEXT);
CREATE TABLE karma_events (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users, points INTEGER);
"""
# A little on either side: what was due ten seconds ago, and what is due in ten minutes.
OVER, UNDER = "-10 seconds", "+10 minutes"
USERS = 230


def seed(folder):
    os.makedirs(os.path.join(folder, "uploads"), exist_ok=True)
    db = sqlite3.connect(os.path.join(folder, "app.db"))
    db.executescript(SCHEMA)
    one = lambda sql, *values: db.execute(sql, values)

    def when(*shifts):
        return db.execute(f"SELECT datetime('now'{', ?' * len(shifts)})", shifts).fetchone()[0]

    for n in range(1, USERS + 1):
        one("INSERT INTO users VALUES (?, ?, ?, ?, NULL, ?, NULL)", n, f"User {n}", f"user{n}@example.org", f"+49 {n}", n % 3)
        for points in range(n % 4):
            one("INSERT INTO karma_events (user_id, points) VALUES (?, ?)", n, points + 1)

    for n in range(8):
        for status, age, mark in (("pending", OVER, "old"), ("pending", UNDER, "young"), ("accepted", OVER, "accepted")):
            one("INSERT INTO invitations VALUES (?, ?, ?, ?, ?)", f"inv{n}-{mark}", n + 1, f"guest{n}@example.org", status,
                when("-30 days", age))
        one("INSERT INTO push_tokens VALUES (?, ?, ?, ?)", f"tok{n}-old", n + 1, when("-200 days"), when("-90 days", OVER))
        one("INSERT INTO push_tokens VALUES (?, ?, ?, ?)", f"tok{n}-young", n + 1, when("-200 days"), when("-90 days", UNDER))
    one("INSERT INTO push_tokens VALUES ('never-old', 1, ?, NULL)", when("-91 days"))
    one("INSERT INTO push_tokens VALUES ('never-young', 1, ?, NULL)", when("-89 days"))

    person = {"email": "anna@example.org", "Name": "Anna", "order": 17,
              "contact": {"phone": "+49 1", "address": {"street": "Weg 1"}, "list": [{"email": "b@example.org", "kept": True}]}}
    for n in range(10):
        for age, mark in ((("-1 year", OVER), "year-old"), (("-1 year", UNDER), "year-young"),
                          (("-3 years", OVER), "ancient-old"), (("-3 years", UNDER), "ancient-young")):
            one("INSERT INTO audit_logs VALUES (?, ?, '192.0.2.7', 'Firefox', 'login', ?, ?, NULL)", f"log{n}-{mark}", n + 1,
                json.dumps(person), when(*age))

    def upload(name, age, user=None, there=True):
        one("INSERT INTO uploads VALUES (?, ?, ?, ?)", name, user, name, when("-30 days", age))
        if there:
            with open(os.path.join(folder, "uploads", name), "w") as file:
                file.write(name)

    for n in range(6):
        upload(f"orphan{n}-old", OVER)
        upload(f"orphan{n}-young", UNDER)
        upload(f"avatar{n}", OVER)
        upload(f"image{n}", OVER)
        one("UPDATE users SET avatar = ? WHERE id = ?", f"avatar{n}", n + 1)
        one("INSERT INTO projects (user_id, title, image) VALUES (?, 'a project', ?)", n + 1, f"image{n}")
    upload("gone-old", OVER, there=False)
    # Two that cannot be deleted: one is a folder, one leads out of the uploads.
    upload("stuck-folder", OVER, there=False)
    os.makedirs(os.path.join(folder, "uploads", "stuck-folder", "inside"))
    one("INSERT INTO uploads VALUES ('outside', NULL, '../precious', ?)", when("-31 days"))
    with open(os.path.join(folder, "precious"), "w") as file:
        file.write("not an upload")

    # Accounts on their way out: users 201 to 208.
    for n in range(201, 209):
        for i in range(3):
            one("INSERT INTO contributions (user_id, author, body) VALUES (?, ?, 'text')", n, f"User {n}")
        one("INSERT INTO projects (user_id, title) VALUES (?, 'mine')", n)
        upload(f"upload-of-{n}", UNDER, user=n)
        one("INSERT INTO push_tokens VALUES (?, ?, ?, ?)", f"tok-of-{n}", n, when(), when())
        one("INSERT INTO account_deletions VALUES (?, ?, ?, NULL)", n, "delete" if n % 2 else "anonymize",
            when("-30 days", OVER if n < 205 else UNDER))
    db.commit()
    db.close()


if __name__ == "__main__":
    seed(sys.argv[1])
