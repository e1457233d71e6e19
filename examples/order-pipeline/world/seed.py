#!/usr/bin/env python3
"""The shop's orders, its media and an empty stick: seed.py FOLDER. Orders A-1001 to A-1030 are open; A-1005 is a VIP's."""

import json
import os
import random
import sqlite3
import sys

MEDIA = [f"film-{n}.mp4" for n in range(1, 7)] + ["booklet.pdf"]


def seed(folder):
    for name in ("media", "stick"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    chance = random.Random(7)
    for name in MEDIA:
        with open(os.path.join(folder, "media", name), "wb") as file:
            file.write(chance.randbytes(300_000 + chance.randrange(400_000)))
    db = sqlite3.connect(os.path.join(folder, "shop.db"))
    db.execute("""CREATE TABLE orders (number TEXT PRIMARY KEY, name TEXT, email TEXT, chat TEXT, vip INTEGER DEFAULT 0,
                  media TEXT, status TEXT DEFAULT 'open', confirmed_at TEXT, batch TEXT, queued_at TEXT)""")
    for n in range(1001, 1031):
        media = sorted(chance.sample(MEDIA, 2))
        db.execute("INSERT INTO orders (number, name, email, chat, vip, media) VALUES (?, ?, ?, ?, ?, ?)",
                   (f"A-{n}", f"Customer {n}", f"c{n}@example.org", f"@c{n}" if n % 2 else None, n == 1005, json.dumps(media)))
    for number, media in (("A-lost", "lost.mp4"), ("A-hung", "hung.mp4"), ("A-none", "none.mp4")):
        db.execute("INSERT INTO orders (number, name, email, media) VALUES (?, 'Anna', 'anna@example.org', ?)",
                   (number, json.dumps(["booklet.pdf", media])))
    db.commit()
    db.close()


if __name__ == "__main__":
    seed(sys.argv[1])
