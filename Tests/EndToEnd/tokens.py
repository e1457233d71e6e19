#!/usr/bin/env python3
"""Tokens as somebody else's library checks them: HS256 by Python's hmac with the key file, and who may make them."""
import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__)))
import daemon  # noqa: E402
from daemon import check, finish, program  # noqa: E402

scratch = daemon.scratch()
spool = os.path.join(scratch, "spool")
os.chmod(scratch, 0o755)


def run(*arguments, uid=None):
    switch = {"user": uid, "group": uid, "extra_groups": []} if uid is not None else {}
    return subprocess.run([program("jobspool"), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          cwd="/", timeout=30, **switch)


def padded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def claims(token, key):
    """As any JWT library does it."""
    header, body, signature = token.split(".")
    check(json.loads(padded(header)) == {"alg": "HS256", "typ": "JWT"}, "the header says HS256")
    right = hmac.new(key, f"{header}.{body}".encode(), hashlib.sha256).digest()
    check(hmac.compare_digest(right, padded(signature)), "the signature is the one of the key file's bytes")
    check(not any(letter in token for letter in "+/="), "the token is base64url without padding")
    return json.loads(padded(body))


made = run("init", spool)
check(made.returncode == 0, f"init: {made.stderr}")
path = os.path.join(spool, "secret", "web.key")
with open(path) as file:
    key = bytes.fromhex(file.read().strip())
check(len(key) == 32, "the key has 32 bytes")
check(os.stat(path).st_mode & 0o137 == 0, "nobody but its owner and the web program's group may read it")

for n in range(3):
    # Different lengths of the claims, so that every padding is met.
    subject = "x" * (n + 1)
    said = run("token", "create", "--spool", spool, "--role", "operator", "--subject", subject, "--ttl", "90s")
    check(said.returncode == 0, f"token create: {said.stderr}")
    got = claims(said.stdout.splitlines()[-1], key)
    check(got["role"] == "operator" and got["sub"] == subject, f"the claims say who: {got}")
    check(85 <= got["exp"] - time.time() <= 92, f"it ends in 90 s: {got['exp'] - time.time():.1f}")

link = run("dashboard", "--spool", spool).stdout.splitlines()[-1]
address, code = link.split("/#login=")
check(address == "http://127.0.0.1:7733", f"the link leads to [web] listen: {address}")
got = claims(code, key)
check(got["use"] == "login" and got["role"] == "admin" and got["jti"], f"the code is for a login: {got}")

if os.geteuid() == 0:
    for path_, mode in ((spool, 0o755), (os.path.join(spool, "secret"), 0o711)):
        os.chmod(path_, mode)
    for folder in ("tmp", "new", "cur", "done", "dead", "hold", "ctl", "log"):
        os.chmod(os.path.join(spool, folder), 0o711)
    stranger = run("token", "create", "--spool", spool, "--role", "admin", uid=65534)
    check(stranger.returncode == 77 and not stranger.stdout and "run it as root" in stranger.stderr,
          f"somebody else gets none: {stranger.returncode} {stranger.stderr}")
    os.unlink(path)
    stranger = run("token", "create", "--spool", spool, "--role", "admin", uid=65534)
    check(stranger.returncode == 77, f"nor can he make the key: {stranger.returncode} {stranger.stderr}")
    again = run("token", "create", "--spool", spool, "--role", "admin")
    check(again.returncode == 0 and os.path.exists(path), "a missing key is made anew")

finish()
