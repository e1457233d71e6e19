#!/usr/bin/env python3
"""drop.py SPOOL ID JOB: hands the JSON text JOB to the spool. Exit 73: a job of that id waits there already."""

import os
import sys
import tempfile


def drop(spool: str, job_id: str, job: str) -> None:
    """Returns when the job is on the disk; raises FileExistsError when `job_id` waits already."""
    # A fresh name in tmp/ each time, so that what a crash left there is never in the way.
    fd, staged = tempfile.mkstemp(prefix=job_id + ".", dir=os.path.join(spool, "tmp"))
    with open(fd, "w", encoding="utf-8") as file:
        try:
            file.write(job + "\n")
            file.flush()
            os.fchmod(file.fileno(), 0o640)
            os.fsync(file.fileno())
            # A rename would replace a job of the same name; link does not.
            os.link(staged, os.path.join(spool, "new", job_id + ".json"))
        finally:
            os.unlink(staged)
        folder = os.open(os.path.join(spool, "new"), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        # Again: on btrfs a folder's alone may return too early.
        os.fsync(file.fileno())


if __name__ == "__main__":
    try:
        drop(*sys.argv[1:4])
    except FileExistsError:
        print(f"drop: {sys.argv[2]} is waiting already", file=sys.stderr)
        sys.exit(73)
    print(sys.argv[2])
