#!/usr/bin/env python3
"""Finding jobs by the API: every state, parameter and order of GET /v1/jobs against what was submitted; what each route of figures
says; conditional reads; a rate that refuses."""

import re
import time

from daemon import check, finish, same, until
from web import Web, token

with Web(config="max_jobs = 4") as spool:
    spool.handler("echo", "cat", "concurrency = 4")
    spool.handler("fail", 'echo \'{"error":{"code":"smtp","message":"550 no such user"}}\' >&3; exit 65')
    spool.handler("again", "exit 75", 'delays = ["1h"]')
    spool.handler("slow", "sleep 60")
    spool.handler("parent", f"JOBSPOOL_PARENT=1 {__import__('daemon').program('jobspool')} --help >/dev/null; cat")
    spool.handler("few", "cat", 'rate = { limit = 2, per = "1h", over = "reject" }')
    spool.configure('cron = "0 3 1 1 *"\ntype = "echo"', "schedules/yearly.toml")
    spool.serve()
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 5))

    def submit(id_, type_, who=None, **more):
        answer = spool.post("/v1/jobs", {"type": type_, "id": id_, **more}, token=who or "")
        same(answer.status, 202, f"{id_} is accepted")

    submit("done-1", "echo", tags=["red", "big"], meta={"order": "7", "note": "Größe"}, priority=2, payload={"secret": "xyzzy"})
    submit("done-2", "echo", tags=["red"], batch="b", who=token("producer", sub="pia"))
    submit("child-1", "echo", parent="done-1")
    submit("failed-1", "fail")
    submit("retry-1", "again")
    submit("late-1", "echo", run_at="2099-01-01T00:00:00Z")
    submit("blocked-1", "echo", after=["late-1"])
    submit("cancelled-1", "echo", delay="1h")
    submit("held-1", "echo", delay="1h")
    submit("running-1", "slow")
    spool.drop("rejected-1", {"type": "echo", "colour": 1})
    for id_, state in (("done-1", "done"), ("done-2", "done"), ("child-1", "done"), ("failed-1", "dead"), ("rejected-1", "dead"), ("running-1", "cur")):
        until(lambda: spool.states(id_) == [state], f"{id_} is in {state}")
    until(lambda: spool.events("retry-1", "retried"), "retry-1 failed once")
    until(lambda: spool.events("held-1", "submitted"), "held-1 is known")
    same(spool.post("/v1/jobs/cancelled-1/cancel").status, 200, "cancelled-1 is cancelled")
    same(spool.post("/v1/jobs/held-1/hold").status, 200, "held-1 is held")
    fired = spool.post("/v1/schedules/yearly/run?wait=30s").json["id"]
    submit("ready-1", "again")
    same(spool.post("/v1/types/again/pause").status, 200, "its type rests")
    submit("ready-2", "again")

    def ids(query):
        answer = spool.get(f"/v1/jobs?{query}")
        if answer.status != 200:
            check(False, f"{query}: {answer.status} {answer.body[:200]}")
            return []
        found = [row["id"] for row in answer.json["jobs"]]
        if "limit" not in query:
            same(answer.json["total"], len(found), f"total of {query}")
        return found

    until(lambda: spool.get("/v1/jobs/ready-1").json.get("phase") == "retry", "ready-1 was quicker than the pause")
    everything = {"done-1", "done-2", "child-1", "failed-1", "retry-1", "late-1", "blocked-1", "cancelled-1", "held-1", "running-1",
                  "rejected-1", "ready-1", "ready-2", fired}
    done = {"done-1", "done-2", "child-1", fired}
    for query, expected in {
            "state=new": {"retry-1", "late-1", "blocked-1", "ready-1", "ready-2"}, "state=ready": {"ready-2"}, "state=scheduled": {"late-1"},
            "state=retry": {"retry-1", "ready-1"}, "state=blocked": {"blocked-1"}, "state=cur": {"running-1"}, "state=done": done,
            "state=dead": {"failed-1", "cancelled-1", "rejected-1"}, "state=failed": {"failed-1"}, "state=rejected": {"rejected-1"},
            "state=cancelled": {"cancelled-1"}, "state=expired": set(), "state=duplicate": set(), "state=rate_limited": set(),
            "state=hold": {"held-1"}, "state=cur&state=hold": {"running-1", "held-1"}, "type=fail": {"failed-1"},
            "type=fail&type=slow": {"failed-1", "running-1"}, "tag=red": {"done-1", "done-2"}, "tag=red&tag=big": {"done-1"},
            "batch=b": {"done-2"}, "parent=done-1": {"child-1"}, "schedule=yearly": {fired}, "submitted_by=pia": {"done-2"},
            "meta.order=7": {"done-1"}, "meta.order=8": set(), "q=DONE-": {"done-1", "done-2"}, "q=gr%C3%B6%C3%9Fe": {"done-1"},
            "q=550%20no": {"failed-1"}, "q=xyzzy": set(), f"from={began}": everything, "to=2020-01-01T00:00:00Z": set(),
            f"from={began}&to=2099-12-31T00:00:00Z&state=done": done, "": everything}.items():
        same(set(ids(query)), expected, query or "without a filter")
    deep = spool.get("/v1/jobs?q_payload=xyzzy").json
    same(([row["id"] for row in deep["jobs"]], deep["complete"]), (["done-1"], True), "q_payload reads files, and says whether all of them")
    for sort, key in {"submitted": "submitted_at", "updated": "updated_at", "finished": "finished_at", "priority": "priority", "duration": "run_s",
                      "state": None}.items():
        for order in ("asc", "desc"):
            rows = spool.get(f"/v1/jobs?state=done&sort={sort}&order={order}").json["jobs"]
            values = [row.get(key, 0) for row in rows] if key else [row["state"] for row in rows]
            same(len(rows), len(done), f"sorted by {sort}, {order}")
            check(values == sorted(values, reverse=order == "desc"), f"in that order: {values}")
            paged, cursor = [], ""
            while cursor is not None:
                page = spool.get(f"/v1/jobs?state=done&sort={sort}&order={order}&limit=1{cursor}").json
                paged += [row["id"] for row in page["jobs"]]
                cursor = f"&cursor={page['next']}" if page["next"] else None
            same(paged, [row["id"] for row in rows], "and page by page")
    for query, key in (("sort=colour", "sort"), ("order=up", "order"), ("limit=1001", "limit"), ("limit=x", "limit"), ("to=never", "to"),
                       ("state=new&state=gone", "state"), ("limit=1&limit=2", "limit"), ("meta.=1", None)):
        answer = spool.get(f"/v1/jobs?{query}")
        check(answer.status == 400 and (key is None or answer.json["key"] == key), f"{query} is refused: {answer.status} {answer.json.get('key')}")

    # One row in full.
    row = spool.get("/v1/jobs?q=done-1").json["jobs"][0]
    same((row["tags"], row["meta"], row["submitted_by"]["subject"], row["priority"], row["state"]),
         (["red", "big"], {"order": "7", "note": "Größe"}, "anna", 2, "done"), "a row has tags, meta, who submitted it")
    full = spool.get("/v1/jobs/done-1").json
    same(full["wait_s"], row["wait_s"], "the job in full tells how long it waited")
    # A list goes by its index, which keeps whole milliseconds.
    check(abs(full["run_s"] - row["run_s"]) < 0.01, f"and how long it ran: {full['run_s']}, {row['run_s']}")
    for id_, reason in (("late-1", "scheduled"), ("blocked-1", "blocked"), ("retry-1", "retry"), ("held-1", "held"), ("ready-2", "type_paused"),
                        ("running-1", "running"), ("failed-1", "dead"), ("done-1", "done")):
        why = spool.get(f"/v1/jobs/{id_}/why").json
        check(why["reason"].startswith(reason), f"why {id_}: {why['reason']}: {why['text']}")
    detail = spool.get("/v1/jobs/done-1").json
    same((detail["children_total"], detail["children"][0]["id"]), (1, "child-1"), "a job's children")
    same((detail["max_attempts"], detail["timeout_s"]), (5, 3600), "its limits")
    check(len(re.findall(rb'"max_rss"', spool.get("/v1/jobs/done-1").body)) == 1, "each key once")

    # Conditional reads.
    for path in ("/v1/jobs/done-1", "/openapi.json", "/", "/assets/main.js"):
        answer = spool.get(path)
        tag = answer.headers["ETag"]
        again = spool.get(path, headers={"If-None-Match": f'"other", {tag}'})
        same((answer.status, again.status, again.body), (200, 304, b""), f"{path} when it is known")
        same(spool.get(path, headers={"If-None-Match": '"other"'}).status, 200, f"{path} when it has changed")

    # Figures.
    queue = spool.get("/v1/queue").json
    same({key: queue["counts"][key] for key in ("ready", "scheduled", "retry", "blocked", "cur", "done", "dead", "hold")},
         {"ready": 1, "scheduled": 1, "retry": 2, "blocked": 1, "cur": 1, "done": 4, "dead": 3, "hold": 1}, "counts")
    same(queue["outcomes"]["rejected"], 1, "dead ones by outcome")
    same([one["id"] for one in queue["active"]], ["running-1"], "what runs")
    check(queue["limits"]["max_jobs"] == {"limit": 4, "used": 1}, f"limits {queue['limits']['max_jobs']}")
    same((queue["lifetime"]["done"], queue["daemon"]["running"]), (4, True), "lifetime, daemon")
    stats = spool.get("/v1/stats").json
    same((stats["today"]["done"], len(stats["days"]), len(stats["minutes"])), (4, 7, 60), "today, seven days, sixty minutes")
    check(stats["run"]["p95_s"] >= stats["run"]["p50_s"] > 0 and 0 < stats["success_rate"] < 1, "run times and success")
    check(all(stats["system"].get(key) is not None for key in ("disk_free_bytes", "memory_bytes", "load1")), f"the machine: {stats['system']}")
    same(next(row["dead"] for row in stats["types"] if row["type"] == "fail"), 1, "by type")
    dead = spool.get("/v1/dead").json
    same(sorted(group["code"] for group in dead["groups"]), ["cancelled", "smtp", "unknown_key"], "groups of the dead")
    smtp = next(group for group in dead["groups"] if group["code"] == "smtp")
    same((smtp["count"], smtp["error"], smtp["sample"]["id"]), (1, "N no such user", "failed-1"), "a group")
    same(ids(f"error_group={smtp['filter']['error_group']}&state=dead"), ["failed-1"], "which is a filter")
    metrics = spool.get("/metrics").body.decode()
    for line in ('jobspool_jobs{state="done",type="echo"} 4', 'jobspool_jobs_finished_total{type="fail",outcome="failed"} 1'):
        words = re.split(r'[{},]', line)
        check(any(all(word in found for word in words if word) for found in metrics.splitlines()), f"/metrics has {line}")
    check("done-1" not in metrics and "failed-1" not in metrics, "and no id in a label")
    schedule = spool.get("/v1/schedules/yearly").json
    same((schedule["last_job"], schedule["last_result"]), (fired, "done"), "a schedule's last run")

    # A rate that refuses, at the door.
    answers = [spool.post("/v1/jobs", {"type": "few"}) for _ in range(3)]
    same([answer.status for answer in answers], [202, 202, 429], "two of an hour")
    check(3500 < int(answers[2].headers["Retry-After"]) <= 3600, f"when it is taken again: {answers[2].headers['Retry-After']}")
    same((answers[2].json["code"], answers[2].headers["Content-Type"]), ("rate_limited", "application/problem+json"), "as a problem")
    part = spool.post("/v1/jobs", [{"type": "few"}, {"type": "echo"}]).json
    same((part["accepted"], part["jobs"][0]["status"]), (1, 429), "in an array too, each by itself")
    same(spool.post("/v1/jobs/running-1/cancel").status, 200, "the running one is cancelled")
    same(spool.stop(), 0, "it ends in order")

finish()
