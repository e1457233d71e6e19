"""The API over a million finished jobs: a made history of 30 days, the real web program, one request after the other on one
connection. Medians in milliseconds; `worst` is the slowest median of the filters."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.parse

from bench import TOP, WEB, fresh, row, run, until

KEY = bytes(range(32))


def token():
    def encoded(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    claims = {"sub": "bench", "role": "viewer", "exp": int(time.time()) + 7200, "jti": "bench", "rate": "100000/s"}
    text = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return text + "." + encoded(hmac.new(KEY, text.encode(), hashlib.sha256).digest())


def history(count):
    """A spool with a past, made once a day: writing a million files takes minutes."""
    from bench import FOLDER, WORK

    folder = os.path.join(FOLDER or WORK, f"history-{count}")
    if os.path.exists(f"{folder}.made") and time.time() - os.path.getmtime(f"{folder}.made") < 86400:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    run(sys.executable, os.path.join(TOP, "Tests/Support/make-history.py"), folder, "--jobs", str(count))
    with open(f"{folder}/secret/web.key", "w") as file:
        file.write(KEY.hex() + "\n")
    os.chmod(f"{folder}/secret/web.key", 0o600)
    with open(f"{folder}/jobspool.toml", "w") as file:
        file.write('node = "node-a"\nmin_free = "1M"\n[web]\nlisten = "127.0.0.1:0"\n')
    open(f"{folder}.made", "w").close()
    print(f"  a history of {count} jobs in {time.monotonic() - began:.0f} s", flush=True)
    return folder


class Client:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.headers = {"Authorization": f"Bearer {token()}"}

    def get(self, path):
        self.connection.request("GET", path, headers=self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status}: {body[:200]}")
        return body

    def median(self, paths, times=20):
        taken = []
        for number in range(times):
            began = time.monotonic()
            self.get(paths[number % len(paths)])
            taken.append((time.monotonic() - began) * 1000)
        return statistics.median(taken)


@row("api")
def api(bench):
    count = bench.scaled(1000000)
    if not os.access(WEB, os.X_OK):
        print(f"  api-1M         left out: {WEB} is missing; JOBSPOOL_WEB=FILE names another")
        return
    spool = history(count)
    figures = {}

    def all_of_it():
        with fresh() as folder:
            log = f"{folder}/web.log"
            with open(log, "wb") as file:
                began = time.monotonic()
                process = subprocess.Popen([WEB, "--spool", spool], stdin=subprocess.DEVNULL, stdout=file, stderr=file)
            try:
                def port():
                    if process.poll() is not None:
                        raise RuntimeError(f"jobspool-web ended: {open(log).read()[-300:]}")
                    return re.search(r" on http://[^ ]*:(\d+)", open(log).read())

                until(port, "the web program", 60, 0.02)
                client = Client(int(port().group(1)))

                def complete():
                    page = json.loads(client.get("/v1/jobs?limit=1"))
                    return page.get("complete") and page.get("total", 0) >= count * 0.9

                until(complete, "the whole history to be read", 600, 0.2)
                loaded = time.monotonic() - began
                page = json.loads(client.get("/v1/jobs?limit=100"))["jobs"]
                done = [job["id"] for job in json.loads(client.get("/v1/jobs?state=done&limit=100"))["jobs"]]
                with_result = [id_ for id_ in done if has_result(client, id_)][:20]
                filters = {
                    "state": "state=dead", "type": "type=invoice-pdf", "tag": "tag=nightly", "text": "q=example.org",
                    "id": "q=" + page[50]["id"][:13],
                    "two": "type=sync-order&state=dead&sort=duration",
                    "time": "to=" + urllib.parse.quote(time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() - 20 * 86400))),
                }
                found = {
                    ".newest": client.median(["/v1/jobs?limit=50"]),
                    ".details": client.median([f"/v1/jobs/{job['id']}" for job in page]),
                    ".statistics": client.median(["/v1/stats"]),
                }
                if with_result:
                    found[".result"] = client.median([f"/v1/jobs/{id_}/result" for id_ in with_result])
                slowest = {}
                for name, query in filters.items():
                    try:
                        slowest[name] = client.median([f"/v1/jobs?limit=50&{query}"], 7)
                    except RuntimeError as error:
                        print(f"  api-1M         filter {name}: {error}", flush=True)
                figures.update(slowest)
                found[".worst"] = max(slowest.values())
                with open(f"/proc/{process.pid}/status") as file:
                    resident = next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))
                return {**found, ".load_s": loaded, ".rss_mb": resident}
            finally:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    bench.measure("api-1M", {"jobspool": all_of_it}, {"": "ms", ".load_s": "s", ".rss_mb": "MB"}, "less", once=True)
    for name, value in figures.items():
        print(f"  api-1M         filter {name:17} {value:12.3f} ms")
        bench.note({"row": "api-1M", "who": f"filter-{name}", "value": round(value, 3), "unit": "ms"})
    if not os.environ.get("BENCH_KEEP"):
        shutil.rmtree(spool, ignore_errors=True)
        os.unlink(f"{spool}.made")


def has_result(client, id_):
    return json.loads(client.get(f"/v1/jobs/{id_}")).get("result") is not None
