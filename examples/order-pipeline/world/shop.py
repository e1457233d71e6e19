#!/usr/bin/env python3
"""The shop: its orders in SQLite, and the admin calls it had before. shop.py DATABASE SPOOL FOLDER writes FOLDER/shop.json
with its address.

    POST /api/admin/orders/{number}/confirm          {success, message}
    POST /api/admin/orders/confirm-batch             {"orders": [...]}: {success, message, batch}
    GET  /api/admin/queue                            totals, by status, average minutes
    GET  /api/admin/queue/jobs[/{number}]            id, order number, status, progress, attempts, created, updated
    GET  /api/admin/queue/stuck?minutes=5            running for longer than that
    POST /api/admin/queue/jobs/{number}/put-back     ends a stuck one and queues it again

Confirming is a matter of the shop's database alone. The job is dropped after that, by rename; when the spool is away the order
stays confirmed, and `queue_confirmed` drops it later. The order's number is the job's id, and `queued_at` says that it was
dropped: so an order never has a second job, whether the first waits, is done, or was purged years ago.
"""

import json
import re
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from datetime import datetime
from urllib.parse import parse_qs, urlparse

from drop import drop
from world import Calls, address, announce, server

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (number TEXT PRIMARY KEY, name TEXT, email TEXT, chat TEXT, vip INTEGER DEFAULT 0, media TEXT,
                                   status TEXT DEFAULT 'open', confirmed_at TEXT, batch TEXT, queued_at TEXT);
CREATE TABLE IF NOT EXISTS batches (batch TEXT PRIMARY KEY, queued_at TEXT);
"""
STATUS = {"ready": "pending", "scheduled": "pending", "blocked": "pending", "hold": "pending", "retry": "retry",
          "cur": "processing", "done": "completed", "dead": "failed"}
DATABASE, SPOOL, FOLDER = sys.argv[1:4]
dropping = threading.Lock()


def database():
    db = sqlite3.connect(DATABASE, timeout=30, isolation_level=None)
    db.row_factory = sqlite3.Row
    return db


# What replaces the shop's own queue: from here ...

def drop_once(id_, job):
    try:
        drop(SPOOL, id_, json.dumps(job, ensure_ascii=False))
    except FileExistsError:
        pass  # dropped before, and it still waits


def order_job(order):
    job = {
        "type": "process-order", "priority": 1 if order["vip"] else 5, "meta": {"order": order["number"]},
        "payload": {
            "number": order["number"], "customer": {"name": order["name"], "email": order["email"], "chat": order["chat"]},
            "items": [{"media": name} for name in json.loads(order["media"])], "confirmed_at": order["confirmed_at"],
        },
    }
    return job | {"batch": order["batch"]} if order["batch"] else job


def queue_confirmed():
    """Drops what is confirmed and was not dropped. Interrupted between the two steps it drops the same bytes again, which
    jobspool discards."""
    with dropping:
        db = database()
        for order in db.execute("SELECT * FROM orders WHERE status = 'confirmed' AND queued_at IS NULL ORDER BY rowid").fetchall():
            drop_once(order["number"], order_job(order))
            db.execute("UPDATE orders SET queued_at = datetime('now') WHERE number = ?", (order["number"],))
        for (batch,) in db.execute("SELECT batch FROM batches WHERE queued_at IS NULL").fetchall():
            orders = [number for (number,) in db.execute("SELECT number FROM orders WHERE batch = ? ORDER BY rowid", (batch,))]
            drop_once(f"summary-{batch}", {"type": "batch-summary", "after": [f"batch:{batch}"], "on_parent_dead": "run",
                                      "payload": {"batch": batch, "orders": orders}})
            db.execute("UPDATE batches SET queued_at = datetime('now') WHERE batch = ?", (batch,))
        db.close()

# ... to here.


def queue_later():
    while True:
        time.sleep(1)
        try:
            queue_confirmed()
        except (OSError, sqlite3.Error) as error:
            print(f"the queue is away: {error}", file=sys.stderr, flush=True)


def confirm(numbers, batch=None):
    """Marks them confirmed in the database; those that were already stay as they are."""
    db = database()
    db.execute("BEGIN IMMEDIATE")
    known = {row["number"]: row["status"] for row in db.execute("SELECT number, status FROM orders")}
    missing = [number for number in numbers if number not in known]
    fresh = [number for number in numbers if known.get(number) == "open"]
    if missing:
        db.execute("ROLLBACK")
        return 404, {"success": False, "message": f"no such order: {', '.join(missing)}"}
    for number in fresh:
        db.execute("UPDATE orders SET status = 'confirmed', confirmed_at = strftime('%Y-%m-%dT%H:%M:%SZ'), batch = ?"
                   " WHERE number = ?", (batch, number))
    if batch and fresh:
        db.execute("INSERT INTO batches VALUES (?, NULL)", (batch,))
    db.execute("COMMIT")
    db.close()
    try:
        queue_confirmed()
    except OSError as error:
        print(f"the queue is away: {error}", file=sys.stderr, flush=True)
    message = f"{len(fresh)} confirmed" if len(numbers) > 1 else "confirmed" if fresh else "confirmed before"
    return 200, {"success": True, "message": message} | ({"batch": batch} if batch else {})


def jobspool(*arguments):
    done = subprocess.run(["jobspool", *arguments, "--spool", SPOOL, "--json"], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise LookupError(done.stderr.strip())
    return json.loads(done.stdout or "null")


def jobs(*filters):
    return jobspool("ls", "--type", "process-order", "--limit", "0", *filters)


def seconds(row):
    start, end = (datetime.fromisoformat(row[key].replace("Z", "+00:00")) for key in ("started_at", "finished_at"))
    return (end - start).total_seconds()


def job_view(row):
    return {"id": row["id"], "orderNumber": row.get("meta", {}).get("order", row["id"]), "status": STATUS[row["phase"]],
            "progress": row.get("progress", {}).get("percent", 0), "attempts": row.get("attempt", 0),
            "createdAt": row["submitted_at"], "updatedAt": row["updated_at"]}


def queue_view():
    rows = [job_view(row) | {"row": row} for row in jobs()]
    counts = {status: sum(row["status"] == status for row in rows) for status in
              ("pending", "processing", "completed", "failed", "retry")}
    taken = [seconds(row["row"]) for row in rows if row["status"] == "completed"]
    most = next(row["concurrency"] for row in jobspool("handlers") if row["type"] == "process-order")
    return counts | {"total": len(rows), "activeJobs": [row["id"] for row in rows if row["status"] == "processing"],
                     "maxConcurrent": most, "byStatus": counts,
                     "averageDurationMinutes": round(sum(taken) / len(taken) / 60, 4) if taken else None}


class Shop(Calls):
    def do_POST(self):
        body = self.body()
        if found := re.fullmatch(r"/api/admin/orders/([\w.-]+)/confirm", self.path):
            return self.answer(*confirm([found[1]]))
        if self.path == "/api/admin/orders/confirm-batch":
            return self.answer(*confirm(body["orders"], f"batch-{uuid.uuid4().hex[:8]}"))
        if found := re.fullmatch(r"/api/admin/queue/jobs/([\w.-]+)/put-back", self.path):
            jobspool("cancel", found[1])
            subprocess.run(["jobspool", "wait", found[1], "--spool", SPOOL], capture_output=True, timeout=60)
            jobspool("requeue", found[1])
            return self.answer(200, {"success": True, "message": f"{found[1]} is queued again"})
        self.answer(404, {"success": False, "message": "no such call"})

    def do_GET(self):
        url = urlparse(self.path)
        if url.path == "/api/admin/queue":
            return self.answer(200, queue_view())
        if url.path == "/api/admin/queue/jobs":
            return self.answer(200, [job_view(row) for row in jobs()])
        if url.path == "/api/admin/queue/stuck":
            limit = 60 * float(parse_qs(url.query).get("minutes", ["5"])[0])
            now = time.time()
            old = [row for row in jobs("--state", "cur") if row.get("started_at")
                   and now - datetime.fromisoformat(row["started_at"].replace("Z", "+00:00")).timestamp() > limit]
            return self.answer(200, [job_view(row) for row in old])
        if found := re.fullmatch(r"/api/admin/queue/jobs/([\w.-]+)", url.path):
            rows = [row for row in jobs("--text", found[1]) if row["id"] == found[1]]
            return self.answer(200, job_view(rows[0])) if rows else self.answer(404, {"success": False, "message": "no such job"})
        self.answer(404, {"success": False, "message": "no such call"})


database().executescript(SCHEMA)
threading.Thread(target=queue_later, daemon=True).start()
shop = server(Shop)
announce(FOLDER, "shop", url=address(shop))
shop.serve_forever()
