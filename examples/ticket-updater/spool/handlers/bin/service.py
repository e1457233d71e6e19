"""What the ticket updater's handlers share: its database, the sealed credentials, the foreign site, and how they end.

Credentials are AES-256-GCM in the database, bound to their user; the key is a file of its own that only this user reads. No
handler prints one. Everything is found from the spool: ../world.
"""

import http.cookiejar
import json
import os
import sqlite3
import subprocess
import sys
import traceback
import urllib.error
import urllib.parse
import urllib.request

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

WORLD = os.path.join(os.environ.get("JOBSPOOL_DIR", "spool"), "..", "world")
control = sys.stderr


class Final(Exception):
    """No further attempt would help."""


def tell(**keys):
    print(json.dumps(keys), file=control, flush=True)


def database():
    db = sqlite3.connect(os.path.join(WORLD, "service.db"), timeout=30, isolation_level=None)
    db.row_factory = sqlite3.Row
    return db


def key():
    with open(os.path.join(WORLD, "credentials.key"), "rb") as file:
        return AESGCM(file.read())


def sealed(user, password):
    nonce = os.urandom(12)
    return nonce + key().encrypt(nonce, password.encode(), user.encode())


def opened(user, data):
    return key().decrypt(data[:12], data[12:], user.encode()).decode()


class Portal:
    """A session on the foreign site."""

    def __init__(self, user):
        row = database().execute("SELECT login, password FROM users WHERE id = ?", (user,)).fetchone()
        if row is None or row["password"] is None:
            raise Final(f"{user} has no credentials")
        with open(os.path.join(WORLD, "portal.json")) as file:
            self.url = json.load(file)["url"]
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        form = urllib.parse.urlencode({"login": row["login"], "password": opened(user, row["password"])})
        try:
            self.opener.open(self.url + "/login", form.encode(), timeout=60).close()
        except urllib.error.HTTPError as error:
            if error.code == 401:
                raise Final("the site refused the log-in") from None
            raise

    def get(self, path):
        """All of it in memory, as a browser has it; `limits` in the handler file bounds that."""
        with self.opener.open(self.url + path, timeout=60) as answer:
            length = int(answer.headers["Content-Length"])
            content, told = bytearray(), 30
            while part := answer.read(1 << 16):
                content += part
                if (percent := 30 + 60 * len(content) // length) > told:
                    told = percent
                    tell(progress=percent)
        return bytes(content)


def submit(lines):
    """Submits jobs, of which some may exist already because an earlier attempt made them."""
    if not lines:
        return
    done = subprocess.run(["jobspool", "submit", "--bulk", "-", "--spool", os.environ["JOBSPOOL_DIR"]], text=True,
                          input="".join(json.dumps(line) + "\n" for line in lines), capture_output=True)
    if done.returncode not in (0, 73):
        raise OSError(f"jobspool submit: {done.stderr.strip()[:500]}")


def run(work):
    global control
    if os.environ.get("JOBSPOOL_ID"):
        control = os.fdopen(3, "w", buffering=1)
    try:
        print(json.dumps(work(json.load(sys.stdin))))
    except Final as error:
        tell(error={"code": "final", "message": str(error)})
        sys.exit(77)
    except MemoryError:
        tell(error={"code": "out_of_memory", "message": "the download needs more memory than `limits` allows"})
        sys.exit(65)
    except Exception as error:
        traceback.print_exc()
        tell(error={"code": type(error).__name__, "message": str(error)})
        sys.exit(1)
