#!/usr/bin/env python3
"""Each occasion of a notice against the real daemon, told to a command: once each, with what it is about; and a storm,
which is cut short and counted."""

import json
import os
import re
import time

from daemon import Spool, check, finish, same, say, until

with Spool() as spool:
    told = spool.at("..", "told")

    def configure(more="", at_most="1000/1m", on='"done", "dead", "retried", "recovered", "stalled", "sla", '
                  '"schedule_missed", "handler_broken", "disk"'):
        spool.configure(f"""max_jobs = 4
rescan = "1s"
{more}
[[notify]]
on = [{on}]
at_most = "{at_most}"
command = ["/bin/sh", "-c", "cat >> '{told}'"]
""")

    def notices():
        if not os.path.exists(told):
            return []
        with open(told) as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def one(occasion, subject):
        """The one notice of this occasion about this job, or with this code."""
        def fitting():
            return [n for n in notices() if n["data"]["occasion"] == occasion
                    and (n["data"].get("job", {}).get("id") == subject or n["data"].get("code") == subject)]
        until(lambda: fitting(), lambda: f"a notice {occasion} of {subject}: {[n['data']['message'] for n in notices()][-5:]}")
        found = fitting()
        same(len(found), 1, f"notices {occasion} of {subject}: {found[0]['data']['message'] if found else None!r}")
        return found[0] if found else {"type": "", "data": {"message": ""}}

    configure()
    spool.handler("good", "cat")
    spool.handler("bad", "exit 65", "concurrency = 4")
    spool.handler("twice", '[ "$JOBSPOOL_ATTEMPT" = 2 ] || { echo "no route" >&2; exit 75; }', 'delays = ["100ms"]')
    spool.handler("silent", "sleep 60", 'stalled_after = "500ms"\ngrace = "100ms"\nmax_attempts = 1')
    spool.handler("slow", "sleep 1.2", 'sla = "300ms"')
    spool.handler("fast", "cat", 'sla = "1m"')
    spool.start()

    # Jobs
    spool.drop("g", {"type": "good"})
    same(one("done", "g")["type"], "job.done", "its event")
    spool.drop("b", {"type": "bad"})
    check("after 1 attempt" in one("dead", "b")["data"]["message"], "it says after how many attempts")
    spool.drop("t", {"type": "twice"})
    check("no route" in one("retried", "t")["data"]["message"], "retried says why")
    one("recovered", "t")
    one("done", "t")
    spool.drop("s", {"type": "silent"})
    check("no sign of life" in one("stalled", "s")["data"]["message"], "stalled says what was missing")
    one("dead", "s")
    spool.drop("l", {"type": "slow"})
    notice = one("sla", "l")
    check("was not finished within 300ms" in notice["data"]["message"], "sla names the limit")
    check(notice["data"]["job"]["state"] in ("new", "cur"), "it is told before the job has ended")
    spool.wait("l")
    spool.drop("f", {"type": "fast"})
    one("done", "f")
    same([n for n in notices() if n["data"]["occasion"] == "sla" and n["data"]["job"]["id"] == "f"], [], "sla of one in time")

    # The program
    spool.configure('command = ["/nowhere/program"]\n', "handlers/broken.toml")
    spool.drop("x", {"type": "broken"})
    notice = one("handler_broken", "handler:broken")
    same(notice["type"], "handler.broken", "its event")
    check("/nowhere/program" in notice["data"]["message"], "it names the program")
    configure('min_free = "1024T"')
    notice = one("disk", "disk")
    check("min_free" in notice["data"]["message"], "disk: told while nothing may run")
    configure()
    until(lambda: spool.status().get("state") == "running", "the disk is well again")

    # A schedule that was missed while no daemon ran
    spool.configure('cron = "*/5 * * * * *"\ntype = "good"\ncatch_up = "none"\n', "schedules/often.toml")
    until(lambda: any(e["event"] == "schedule_fired" for e in spool.audit()), "it fires")
    spool.stop()
    fired = [e["ts"] for e in spool.audit() if e["event"] == "schedule_fired"][-1]
    time.sleep(11)
    spool.start()
    until(lambda: [n for n in notices() if n["data"]["occasion"] == "schedule_missed"], "a notice of the missed schedule")
    notice = [n for n in notices() if n["data"]["occasion"] == "schedule_missed"][0]
    check("often" in notice["data"]["message"], f"it names the schedule: {notice['data']['message']}")
    os.unlink(spool.at("schedules", "often.toml"))
    until(lambda: "often" not in spool.status().get("schedules", {"often": 1}), "the schedule is gone")

    # A storm: 5 in 3 s are sent, then one that counts; who asked is told of each.
    configure(at_most="5/3s", on='"dead"')
    until(lambda: not [n for n in os.listdir(spool.at("new")) if n.startswith("notify-")], "all notices are sent")
    time.sleep(0.3)
    before = len(notices())
    began = time.monotonic()
    for n in range(60):
        spool.drop(f"storm-{n:02}", {"type": "bad"})
    for n in range(3):
        spool.drop(f"asked-{n}", {"type": "bad", "notify": ["dead"]})
    for n in range(60):
        spool.wait(f"storm-{n:02}", "dead")
    until(lambda: [n for n in notices()[before:] if n["data"].get("code") == "held_back"], "the one that counts the rest")
    took = time.monotonic() - began
    until(lambda: len([n for n in notices()[before:] if n["data"].get("job", {}).get("id", "").startswith("asked")]) == 3,
          "each of those that were asked for")
    new = notices()[before:]
    storm = [n for n in new if n["data"].get("job", {}).get("id", "").startswith("storm")]
    digests = [n["data"] for n in new if n["data"].get("code") == "held_back"]
    count = sum(int(re.match(r"(\d+) more", d["message"]).group(1)) for d in digests)
    same(len(storm) + count, 60, f"sent ({len(storm)}) and counted in {len(digests)}: {digests[0]['message'] if digests else None!r}")
    check(len(storm) <= 5 * (1 + int(took / 3)), f"at most 5 in 3 s: {len(storm)} in {took:.1f} s")
    say(f"60 deaths made {len(storm)} notices and {len(digests)} that counted the other {count}")
    # What a stop would forget is told before it.
    for n in range(10):
        spool.drop(f"last-{n}", {"type": "bad"})
    for n in range(10):
        spool.wait(f"last-{n}", "dead")
    same(spool.stop(), 0, "exit")
    spool.start()
    until(lambda: not [n for n in os.listdir(spool.at("new")) + os.listdir(spool.at("cur")) if n.startswith("notify-")],
          "all notices are sent after the restart")
    last = [n["data"] for n in notices()[before + len(new):]]
    sent = len([d for d in last if d.get("job", {}).get("id", "").startswith("last")])
    counted = sum(int(re.match(r"(\d+) more", d["message"]).group(1)) for d in last if d.get("code") == "held_back")
    same(sent + counted, 10, f"of ten before a stop, sent ({sent}) and counted ({counted})")
    same(spool.stop(), 0, "exit")
    spool.verify()
finish()
