#!/usr/bin/env python3
"""The web program over a long past: the newest jobs are there at once, while the rest of the log is being read; nothing is lost or
counted twice on the way; how long answers take. JOBS is how many (10,000), STRICT=1 holds the answers to the numbers that are
promised for a million jobs with the release build."""

import glob
import http.client
import json
import os
import subprocess
import sys
import time

from daemon import TOP, check, finish, same, say, scratch, until
from socketclient import Web, make_key, token

JOBS = int(os.environ.get("JOBS", "10000"))
path = os.path.join(scratch(), "past")
subprocess.run([sys.executable, os.path.join(TOP, "Tests", "Support", "make-history.py"), path, "--jobs", str(JOBS)], check=True,
               stdout=subprocess.DEVNULL)
make_key(path)
lines = {}
for name in sorted(glob.glob(os.path.join(path, "log", "audit-*.jsonl")))[-3:]:
    with open(name, "rb") as file:
        for line in file:
            event = json.loads(line)
            if event.get("job") and event["event"] not in ("purged", "stage"):
                lines[event["job"]] = event
newest = max(lines.values(), key=lambda event: event["seq"])
files = {state: len(os.listdir(os.path.join(path, state))) for state in ("new", "cur", "done", "dead", "hold")}

began = time.monotonic()
web = Web(path, os.path.join(scratch(), "web.stderr"))
connection = http.client.HTTPConnection("127.0.0.1", web.port)
headers = {"Authorization": f"Bearer {token(path, 'admin')}"}


def get(path):
    asked = time.monotonic()
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    data = answer.read()
    check(answer.status == 200, f"GET {path}: {answer.status}") if answer.status != 200 else None
    return data, (time.monotonic() - asked) * 1000


def page(query=""):
    return json.loads(get("/v1/jobs" + query)[0])


first = until(lambda: (found := page("?limit=1"))["jobs"] and found, "the first jobs are listed")
same(first["jobs"][0]["id"], newest["job"], f"the newest job is there first, after {time.monotonic() - began:.2f} s (complete: {first['complete']})")
worst = 0
while not page("?limit=1")["complete"] and time.monotonic() - began < 600:
    worst = max(worst, get("/v1/jobs")[1])
    time.sleep(0.02)
say(f"{JOBS} jobs: all known after {time.monotonic() - began:.1f} s, the worst answer meanwhile took {worst:.0f} ms")
for state, count in files.items():
    same(page(f"?state={state}&limit=1")["total"], count, f"jobs in {state}, as many as files")
lifetime = json.loads(get("/v1/queue")[0])["lifetime"]
check(lifetime["submitted"] >= JOBS and lifetime["done"] >= files["done"], f"and figures for all of them: {lifetime['submitted']} submitted")
one = page("?state=done&limit=3")["jobs"][-1]["id"]
old = page("?state=done&limit=3&order=asc")["jobs"][-1]["id"]
limits = {"newest page": ("/v1/jobs", 50), "details": (f"/v1/jobs/{one}", 10), "details of an old job": (f"/v1/jobs/{old}", 10),
          "statistics": ("/v1/stats", 50), "queue": ("/v1/queue", 50), "result": (f"/v1/jobs/{one}/result", 20),
          "a text nobody has": ("/v1/jobs?q=zzzz", 600), "a text many have": ("/v1/jobs?q=mail&sort=duration", 600),
          "a member of meta": ("/v1/jobs?meta.user=user77&sort=priority", 600),
          "a week by duration": ("/v1/jobs?from=2020-01-01T00:00:00Z&sort=duration&q=user", 600)}
for what, (query, limit) in limits.items():
    times = sorted(get(query)[1] for _ in range(7))
    say(f"{what}: median {times[3]:.1f} ms, worst {times[-1]:.1f} ms (at most {limit})")
    if os.environ.get("STRICT"):
        check(times[3] <= limit, f"{what} within {limit} ms")
say(f"memory {web.resident() / 1e6:.0f} MB, {web.resident() / JOBS:.0f} bytes a job")
connection.close()
same(web.stop(), 0, "it ends in order")
finish()
