#!/usr/bin/env python3
"""Every route of the API against the real daemon, and every error of its table."""

import json
import os
import socket

from daemon import check, finish, same, until
from web import Web, token


def problem(answer, status, code=None, key=None, what=""):
    """An error as RFC 9457 has it."""
    found = answer.json
    good = answer.status == status and answer.headers["Content-Type"] == "application/problem+json"
    good = good and found.get("status") == status and found.get("detail") and found.get("title")
    good = good and (code is None or found.get("code") == code) and (key is None or found.get("key") == key)
    check(good, f"{what or code}: {answer.status} {answer.body[:300]!r}")


with Web(config="max_jobs = 4\nmax_job_bytes = 4096") as spool:
    spool.handler("echo", "cat", "concurrency = 2")
    spool.handler("slow", 'echo begun >&2; echo \'{"progress":30,"stage":"half"}\' >&3; sleep 60')
    spool.handler("fail", "echo no use >&2; exit 100")
    spool.handler("secretive", "echo done", 'redact = ["/payload/token"]')
    spool.handler("closed", "cat", 'allow = ["nobody", "web:bob"]')
    spool.configure('{"type":"object","required":["to"],"properties":{"to":{"type":"string"}}}', "handlers/mail.schema.json")
    spool.handler("mail", "cat", 'schema = "mail.schema.json"')
    spool.configure('cron = "0 3 * * *"\ntype = "echo"\npayload = { a = 1 }\ndescription = "at night"', "schedules/nightly.toml")
    spool.serve()

    # What needs no token.
    for path in ("/healthz", "/readyz", "/openapi.json", "/"):
        same(spool.get(path, token=None).status, 200, f"GET {path} without a token")
    page = spool.get("/", token=None)
    check("default-src 'none'" in page.headers["Content-Security-Policy"], "the page has its policy")
    same(spool.get("/", token=None, headers={"If-None-Match": page.headers["ETag"]}).status, 304, "a known page")
    same(spool.get("/assets/style.css", token=None).headers["Content-Type"], "text/css; charset=utf-8", "its style")
    problem(spool.get("/assets/none.js", token=None), 404, "not_found")
    problem(spool.get("/v1/nothing", token=None), 404, "not_found")
    problem(spool.post("/healthz", {}), 405, "method_not_allowed")
    same(spool.call("HEAD", "/healthz", token=None).body, b"", "HEAD has no body")
    problem(spool.get("/v1/me", token=None), 401, "no_token")
    same(spool.get("/v1/me").json["may"], ["read", "submit", "operate", "admin"], "an admin may everything")

    # Submitting.
    made = spool.post("/v1/jobs", {"type": "echo", "payload": {"n": 1}, "tags": ["a"], "meta": {"order": "7"}})
    same(made.status, 202, f"a job is accepted {made.body!r}")
    first = made.json["id"]
    same(made.headers["Location"], f"/v1/jobs/{first}", "Location")
    check(spool.states(first), "it is in the spool when the answer is there")
    record = spool.wait(first)
    same(record["submitted_by"]["subject"], "anna", "the record names the token's subject")
    same(spool.events(first, "submitted")[0].get("subject"), "anna", "so does the audit log")
    check("submitted_by" not in json.dumps(spool.job("done", first)["payload"]), "the payload is the producer's")
    problem(spool.post("/v1/jobs", raw="{"), 400, "bad_json")
    problem(spool.post("/v1/jobs", {"type": "echo"}, headers={"Content-Encoding": "gzip"}), 415, "unsupported_encoding")
    problem(spool.get("//v1/jobs"), 404, "not_found")
    problem(spool.get("/v1//jobs"), 404, "not_found")
    problem(spool.post("/v1/jobs", raw=""), 400)
    problem(spool.post("/v1/jobs", {"payload": 1}), 400, "missing_type", "type")
    problem(spool.post("/v1/jobs", {"type": "echo", "prio": 1}), 400, "unknown_key", "prio")
    problem(spool.post("/v1/jobs", {"type": "echo", "priority": 10}), 400, "bad_field", "priority")
    problem(spool.post("/v1/jobs", {"type": "nobody"}), 400, "unknown_type", "type")
    problem(spool.post("/v1/jobs", {"type": "mail", "payload": {}}), 400, "schema")
    check(spool.post("/v1/jobs", {"type": "mail", "payload": {}}).json["key"].startswith("payload"), "names the key")
    problem(spool.post("/v1/jobs", {"type": "echo", "jobspool": {"submitted_by": {"subject": "eve"}}}), 400, "forged_record")
    problem(spool.post("/v1/jobs", {"type": "closed"}), 403, "not_allowed", "type")
    same(spool.post("/v1/jobs", {"type": "closed"}, token=token(sub="bob")).status, 202, "allow = web:bob")
    problem(spool.post("/v1/jobs", {"type": "echo", "payload": "x" * 5000}), 413, "too_large")
    problem(spool.post("/v1/jobs", {"type": "echo", "id": first}), 409, "exists")
    same(spool.post("/v1/jobs", {"type": "echo", "id": first}).json["id"], first, "409 names the job")
    key = {"Idempotency-Key": "order-7"}
    once = spool.post("/v1/jobs", {"type": "echo"}, headers=key)
    twice = spool.post("/v1/jobs", {"type": "echo"}, headers=key)
    same((once.status, twice.status, twice.json["id"]), (202, 409, once.json["id"]), "an Idempotency-Key makes one job")
    problem(spool.post("/v1/jobs", [{"type": "echo"}], headers=key), 400, "bad_parameter", "Idempotency-Key")

    # Many at once.
    many = spool.post("/v1/jobs", [{"type": "echo"}, {"type": "nobody"}, {"type": "echo", "id": first}])
    same((many.status, many.json["accepted"], many.json["refused"]), (202, 1, 2), "an array, each by itself")
    same([entry.get("status") for entry in many.json["jobs"]], [None, 400, 409], "in order")
    problem(spool.post("/v1/jobs", [{"type": "nobody"}]), 400, "none_accepted")
    problem(spool.post("/v1/jobs", []), 400, "empty")
    lines = "\n".join(json.dumps({"type": "echo", "batch": "b1", "payload": n}) for n in range(500)) + "\n"
    bulk = spool.post("/v1/jobs", raw=lines, headers={"Content-Type": "application/jsonl"})
    same((bulk.status, bulk.json["accepted"]), (202, 500), "500 JSON lines")
    check(all(spool.states(job["id"]) for job in bulk.json["jobs"]), "all of them are in the spool")

    # Reading.
    until(lambda: spool.get("/v1/jobs?batch=b1&state=done&limit=1").json.get("total") == 500, "500 done jobs are listed")
    page = spool.get("/v1/jobs?batch=b1&limit=200").json
    seen, pages = {row["id"] for row in page["jobs"]}, 1
    while page["next"]:
        page = spool.get(f"/v1/jobs?batch=b1&limit=200&cursor={page['next']}").json
        seen |= {row["id"] for row in page["jobs"]}
        pages += 1
    same((len(seen), pages), (500, 3), "pages by cursor: jobs, pages")
    same([row["id"] for row in spool.get("/v1/jobs?meta.order=7").json["jobs"]], [first], "a filter on meta")
    same([row["id"] for row in spool.get("/v1/jobs?tag=a&q=" + first[:8]).json["jobs"]], [first], "tag and text")
    problem(spool.get("/v1/jobs?stat=done"), 400, "bad_parameter", "stat")
    problem(spool.get("/v1/jobs?state=finished"), 400, "bad_parameter", "state")
    problem(spool.get("/v1/jobs?limit=0"), 400, "bad_parameter", "limit")
    problem(spool.get("/v1/jobs?cursor=x"), 400, "bad_parameter", "cursor")
    problem(spool.get("/v1/jobs?from=yesterday"), 400, "bad_parameter", "from")
    problem(spool.get("/v1/jobs?q=%ff"), 400, "bad_query")
    whole = spool.get(f"/v1/jobs/{first}")
    same((whole.json["state"], whole.json["payload"], whole.json["attempts"][0]["outcome"]), ("done", {"n": 1}, "done"), "a job in full")
    same(spool.get(f"/v1/jobs/{first}", headers={"If-None-Match": whole.headers["ETag"]}).status, 304, "unchanged")
    same(spool.get(f"/v1/jobs/{first}/result").json["payload"], {"n": 1}, "its bare result")
    same([line["event"] for line in spool.get(f"/v1/jobs/{first}/audit").json["lines"]], ["submitted", "claimed", "finished"], "its audit lines")
    same(spool.get(f"/v1/jobs/{first}/why").json["reason"], "done", "why")
    for path in ("", "/result", "/log", "/audit", "/why"):
        problem(spool.get(f"/v1/jobs/none{path}"), 404, "no_such_job", what=f"GET an unknown job{path}")
    problem(spool.get("/v1/jobs/..%2f..%2fetc"), 404, "no_such_job")
    hidden = spool.post("/v1/jobs", {"type": "secretive", "payload": {"token": "hunter2", "a": 1}}).json["id"]
    spool.wait(hidden)
    for path in ("", "/result", "/audit"):
        check(b"hunter2" not in spool.get(f"/v1/jobs/{hidden}{path}").body, f"redacted values stay hidden in /v1/jobs/ID{path}")

    # Verbs.
    running = spool.post("/v1/jobs", {"type": "slow"}).json["id"]
    until(lambda: spool.get(f"/v1/jobs/{running}").json.get("progress", {}).get("percent") == 30, "progress is shown")
    log = until(lambda: (answer := spool.get(f"/v1/jobs/{running}/log")).body.endswith(b"begun\n") and answer.body, "its log")
    rest = spool.get(f"/v1/jobs/{running}/log?from={len(log) - 3}")
    same((rest.body, rest.headers["X-Log-Size"]), (b"un\n", str(len(log))), "the log from a byte on")
    problem(spool.post(f"/v1/jobs/{running}/hold"), 409, "wrong_state")
    problem(spool.post(f"/v1/jobs/{running}/requeue"), 409, "wrong_state")
    same(spool.post(f"/v1/jobs/{running}/cancel").json, {"id": running, "state": "dead"}, "a running job is cancelled")
    cancelled = spool.events(running, "cancelled")[0]
    check(cancelled["by"].startswith("anna through "), f"the audit log says who: {cancelled['by']}")
    problem(spool.post("/v1/jobs/none/cancel"), 404, "no_such_job")
    waiting = spool.post("/v1/jobs", {"type": "echo", "delay": "1h"}).json["id"]
    until(lambda: spool.events(waiting, "submitted"), "the daemon has seen it")
    same(spool.post(f"/v1/jobs/{waiting}/hold").json["state"], "hold", "hold")
    same(spool.call("PUT", f"/v1/jobs/{waiting}", {"type": "echo", "payload": "new"}).status, 200, "edit")
    same(spool.get(f"/v1/jobs/{waiting}").json["payload"], "new", "the edit holds")
    problem(spool.call("PUT", f"/v1/jobs/{waiting}", {"typ": "echo"}), 400, "unknown_key", "typ")
    same(spool.post(f"/v1/jobs/{waiting}/release").json["state"], "new", "release")
    spool.wait(waiting)
    problem(spool.call("PUT", f"/v1/jobs/{waiting}", {"type": "echo"}), 409, "wrong_state")
    same(spool.call("DELETE", f"/v1/jobs/{waiting}").status, 204, "delete")
    problem(spool.get(f"/v1/jobs/{waiting}"), 404, "no_such_job")

    # Dead letters and many at once.
    dead = [spool.post("/v1/jobs", {"type": "fail", "payload": n}).json["id"] for n in range(3)]
    for id_ in dead:
        spool.wait(id_, "dead")
    groups = until(lambda: [group for group in spool.get("/v1/dead").json["groups"] if group["count"] == 3], "a group of 3")[0]
    tried = spool.post("/v1/jobs/bulk", {"do": "requeue", "filter": groups["filter"], "dry_run": True}).json
    same((tried["matched"], tried["done"], len(tried["sample"])), (3, 0, 3), "a dry run only counts")
    same(spool.post("/v1/jobs/bulk", {"do": "requeue", "filter": groups["filter"]}).json["done"], 3, "requeue by filter")
    for id_ in dead:
        until(lambda: len(spool.events(id_, "buried")) == 2, "it failed again")
    ended = spool.get("/v1/jobs?state=done&state=dead&limit=1").json["total"]
    tried = spool.post("/v1/jobs/bulk", {"do": "requeue", "filter": {}, "dry_run": True}).json
    check(tried["matched"] == ended and all(row["state"] in ("done", "dead") for row in tried["sample"]),
          f"a dry run counts only what the verb fits: {tried['matched']} of {ended} ended")
    tried = spool.post("/v1/jobs/bulk", {"do": "hold", "ids": dead[:1] + ["none"], "dry_run": True}).json
    same((tried["matched"], [entry["id"] for entry in tried["refused"]]), (0, dead[:1] + ["none"]), "of named jobs too")
    gone = spool.post("/v1/jobs/bulk", {"do": "delete", "ids": dead + ["none"]}).json
    same((gone["done"], len(gone["refused"])), (3, 1), "delete by ids")
    problem(spool.post("/v1/jobs/bulk", {"do": "explode", "filter": {}}), 400, "bad_parameter", "do")
    problem(spool.post("/v1/jobs/bulk", {"do": "cancel"}), 400, "bad_parameter", "filter")
    problem(spool.post("/v1/jobs/bulk", {"do": "cancel", "filter": {"stat": "x"}}), 400, "bad_parameter", "stat")

    # Types.
    same(spool.post("/v1/types/echo/pause").json, {"type": "echo", "paused": True}, "pause")
    check(os.path.exists(spool.at("ctl", "pause.echo")), "the pause is a file")
    check({row["type"]: row["paused"] for row in spool.get("/v1/types").json["types"]}["echo"], "the type is paused")
    row = until(lambda: [row for row in spool.get("/v1/types").json["types"] if row.get("paused_by")], "who paused it is told")[0]
    check((row["type"], row["paused_by"]) == ("echo", "anna") and row["paused_since"].endswith("Z"), f"who and since when: {row['paused_by']}")
    until(lambda: list(spool.get("/v1/queue").json["paused"]["by"]) == ["echo"], "it is told in the queue's view too")
    held = spool.post("/v1/jobs", {"type": "echo"}).json["id"]
    same(spool.get(f"/v1/jobs/{held}/why").json["reason"], "type_paused", "why it waits")
    same(spool.post("/v1/types/echo/resume").json, {"type": "echo", "paused": False}, "resume")
    spool.wait(held)
    who = [event["by"] for event in spool.audit() if event["event"] in ("paused", "resumed")]
    check(len(who) == 2 and all(by.startswith("anna through ") for by in who), f"who paused and resumed: {who}")
    problem(spool.post("/v1/types/nobody/pause"), 404, "no_such_type")
    same(spool.post("/v1/types/all/pause").status, 200, "pause everything")
    same(spool.post("/v1/types/all/resume").status, 200, "resume everything")

    # Schedules.
    rows = spool.get("/v1/schedules").json
    same((rows["total"], rows["enabled"], rows["schedules"][0]["name"]), (1, 1, "nightly"), "the schedules")
    same(spool.get("/v1/schedules/nightly").json["payload"], {"a": 1}, "one schedule")
    run = spool.post("/v1/schedules/nightly/run?wait=30s")
    same((run.status, run.json["state"], run.json["outcome"]), (200, "done", "done"), f"run now and wait: {run.body[:200]!r}")
    same(spool.get("/v1/schedules/nightly/runs").json["runs"][0]["id"], run.json["id"], "its history")
    same(spool.post("/v1/schedules/nightly/run").status, 202, "run now")
    same(spool.post("/v1/schedules/nightly/disable").json["enabled"], False, "disable")
    same(spool.get("/v1/schedules/nightly").json["enabled"], False, "it is off")
    same(spool.post("/v1/schedules/nightly/enable").json["enabled"], True, "enable")
    problem(spool.get("/v1/schedules/none"), 404, "no_such_schedule")
    problem(spool.post("/v1/schedules/none/run"), 404, "no_such_schedule")
    problem(spool.post("/v1/schedules/nightly/run?wait=soon"), 400, "bad_parameter", "wait")

    # Heads that are no good.
    def wire(text, patience=10):
        with socket.create_connection(("127.0.0.1", spool.port), patience) as connection:
            connection.sendall(text)
            answer = b""
            try:
                while chunk := connection.recv(65536):
                    answer += chunk
            except TimeoutError:
                pass
            return answer

    check(wire(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100_000 + b"\r\n\r\n").startswith(b"HTTP/1.1 431 "), "431")
    check(wire(b"not HTTP at all\r\n\r\n").startswith(b"HTTP/1.1 400 "), "400 for what is no HTTP")
    for hosts in (b"", b"Host: a\r\nHost: b\r\n", b"Host: a/b\r\n"):
        answer = wire(b"GET /healthz HTTP/1.1\r\n" + hosts + b"\r\n")
        check(answer.startswith(b"HTTP/1.1 400 ") and b"one host" in answer, f"400 for {hosts.count(b'Host')} hosts {hosts!r}: {answer[:20]!r}")
    check(wire(b"GET /healthz HTTP/1.0\r\n\r\n").split(b" ")[1:2] == [b"200"], "HTTP/1.0 names none")
    huge = wire(b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + spool.token.encode()
                + b"\r\nContent-Length: 9999999999\r\n\r\n")
    check(huge.startswith(b"HTTP/1.1 413 "), f"413 before the body is sent: {huge[:100]!r}")
    for upgrade in (b"h2c", b"websocket"):
        answer = wire(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: " + upgrade + b"\r\n\r\n", 3)
        check(answer.startswith(b"HTTP/1.1 "), f"an upgrade to {upgrade.decode()} where there is none gets an answer: {answer[:60]!r}")

    # Without the daemon: reading and submitting go on, operating does not.
    process, spool.process = spool.process, None
    spool.process = process
    import subprocess

    from daemon import program

    alone = subprocess.Popen([program("jobspool-web"), "--spool", spool.path, "--listen", "127.0.0.1:0"],
                             stderr=open(spool.log, "ab"), cwd="/")
    mark = os.path.getsize(spool.log)
    spool.find(mark)
    spool.stop()
    problem(spool.post(f"/v1/jobs/{first}/requeue"), 503, "needs_daemon")
    check(spool.post(f"/v1/jobs/{first}/requeue").headers["Retry-After"], "with Retry-After")
    problem(spool.post("/v1/types/echo/pause"), 503, "needs_daemon")
    same(spool.get("/readyz", token=None).status, 503, "not ready without a daemon")
    late = spool.post("/v1/jobs", {"type": "echo"})
    same((late.status, spool.states(late.json["id"])), (202, ["new"]), "submitting without a daemon")
    same(spool.get(f"/v1/jobs/{late.json['id']}").json["submitted_by"]["subject"], "anna", "shown with its subject")
    same(spool.get(f"/v1/jobs/{first}").status, 200, "reading without a daemon")
    alone.terminate()
    same(alone.wait(10), 0, "it stops in order")
    events = spool.verify()

finish()
