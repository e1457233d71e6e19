"""What the maintenance jobs share: the database, a line in the job's log, and the result {success, message, details}.

A run that says success = false, or that breaks, ends with 100: failed for good, so nothing repeats it before the next tick.
A run that the machine cut short (a crash of the daemon, a kill) is repeated at once: each job does in small transactions
what is still to be done, so that does no harm.
"""

import json
import os
import sqlite3
import sys
import traceback

control = os.fdopen(3, "w", buffering=1) if os.environ.get("JOBSPOOL_ID") else sys.stderr


def tell(**keys):
    print(json.dumps(keys, ensure_ascii=False), file=control, flush=True)


def line(code, message, level="info"):
    """A line in the job's log: one for each thing deleted or changed, written before that is committed."""
    tell(log={"level": level, "category": "maintenance", "code": code, "message": message})


def database():
    path = os.environ["DATABASE"]
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: no such database; DATABASE in handlers/*.toml says where it is")
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


class Transaction:
    """Takes the write lock at once, so two jobs wait for each other instead of failing; commits, or undoes it all."""

    def __init__(self, connection):
        self.connection = connection

    def __enter__(self):
        self.connection.execute("BEGIN IMMEDIATE")
        return self.connection

    def __exit__(self, kind, *_):
        self.connection.execute("ROLLBACK" if kind else "COMMIT")
        return False


def main(job):
    """Runs job(connection), which returns (message, details) or raises."""
    try:
        message, details = job(database())
        print(json.dumps({"success": True, "message": message, "details": details}, ensure_ascii=False))
    except Exception as error:
        traceback.print_exc()
        message = f"{type(error).__name__}: {error}"
        tell(error={"code": "maintenance_failed", "message": message})
        print(json.dumps({"success": False, "message": message, "details": {}}, ensure_ascii=False))
        sys.exit(100)
