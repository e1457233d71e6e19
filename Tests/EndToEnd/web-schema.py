#!/usr/bin/env python3
"""schemathesis reads /openapi.json and asks for whatever it allows and forbids: no answer is a 5xx that was not announced, none lies
outside the schema, none lets in who has no token. EXAMPLES requests for each operation (10)."""

import os
import subprocess
import sys

from daemon import TOP, check, finish, same, say, scratch, skip
from web import Web

python = os.environ.get("PEERS", os.path.join(TOP, ".build", "python"))
if not os.path.exists(os.path.join(python, "schemathesis")):
    skip("schemathesis is not installed; run .ci/install-peers")

with Web(config="max_jobs = 2") as spool:
    spool.handler("echo", "cat")
    spool.configure('cron = "0 3 * * *"\ntype = "echo"', "schedules/nightly.toml")
    spool.serve()
    for n in range(3):
        spool.drop(f"job{n}", {"type": "echo", "payload": n})
    for n in range(3):
        spool.wait(f"job{n}")
    # A mistake of ours must show as one, not as an answer that is 'unexpected'; what schemathesis thinks ought to be accepted is
    # left out: many rules of a job file say more than a schema can.
    run = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{spool.port}/openapi.json",
         "-H", f"Authorization: Bearer {spool.token}", "--phases", "examples,coverage,fuzzing",
         "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
         "unsupported_method,ignored_auth",
         "-n", os.environ.get("EXAMPLES", "10"), "--seed", "7", "--no-shrink", "--suppress-health-check", "all",
         "--exclude-path", "/v1/events", "--request-timeout", "30", "--warnings", "off", "--continue-on-failure"],
        env={**os.environ, "PYTHONPATH": python, "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"},
        cwd=scratch(), capture_output=True, text=True, timeout=900)
    summary = run.stdout.strip().splitlines()
    if not check(run.returncode == 0, "schemathesis finds nothing"):
        print(run.stdout[-12000:], run.stderr[-2000:])
    for line in summary:
        if "generated" in line or "passed" in line.lower():
            say(line.strip())
    same(spool.get("/healthz").status, 200, "it still answers")
    check(b"incident" not in spool.said(), "and had no trouble of its own")

finish()
