#!/usr/bin/env python3
"""Jobs of a megabyte that take long to check against their schema, many at once, some good and some not: somebody else's job
and an operator's request have their turn long before all of them were looked at, and each is judged in the end."""

import json
import os
import signal

from daemon import Spool, check, finish, same, say, until

COUNT = 16
with Spool(config='max_jobs = 4\nrescan = "1s"') as spool:
    spool.handler("good", "cat", "concurrency = 4")
    spool.handler("checked", "cat >/dev/null; echo 1", 'schema = "checked.schema.json"')
    spool.configure(json.dumps({"properties": {"a": {"uniqueItems": True}}}), "handlers/checked.schema.json")
    good = json.dumps({"type": "checked", "payload": {"a": list(range(140_000))}}).encode()
    bad = json.dumps({"type": "checked", "payload": {"a": [*range(140_000), 7]}}).encode()
    spool.start()
    spool.drop("first", {"type": "good"})
    spool.wait("first")
    # All of them are there when the daemon looks.
    spool.process.send_signal(signal.SIGSTOP)
    for number in range(COUNT):
        spool.drop(f"slow-{number}", bad if number % 2 else good)
    spool.drop("others", {"type": "good"})
    spool.drop("request", {"do": "cancel", "jobs": ["nobody"]}, to="ctl")
    spool.process.send_signal(signal.SIGCONT)
    spool.wait("others", patience=120)
    until(lambda: os.path.exists(spool.at("ctl", "request.reply")), "an answer to the request", 120)
    until(lambda: not [name for name in spool.names("new") + spool.names("cur") if name.startswith("slow-")],
          "all of them come to rest", 300, every=0.1)
    same(len([name for name in spool.names("done") if name.startswith("slow-")]), COUNT // 2, "good ones that ran")
    dead = [name[:-5] for name in spool.names("dead") if name.startswith("slow-")]
    same({spool.record("dead", id_)["error"]["code"] for id_ in dead}, {"schema"}, f"why {len(dead)} were refused")
    # What had been looked at by then is in the log before that end.
    events = spool.audit()
    end = next(place for place, event in enumerate(events) if event.get("job") == "others" and event["event"] == "finished")
    before = len([event for event in events[:end] if event["event"] == "submitted" and event["job"].startswith("slow-")])
    check(before < COUNT / 2, f"somebody else's job had ended when {before} of {COUNT} had been looked at")
    say(f"{COUNT} slow checks, {spool.resident()[0] >> 20} MB")
    same(spool.stop(), 0, "exit")
    spool.verify()
finish()
