#!/usr/bin/env python3
"""Schedules on the real clock: every second a tick over several kills of the daemon, and no tick twice; firings that would
overlap; a run asked for; a schedule disabled and enabled."""

import json
import os
import signal
import subprocess
import time

from daemon import Spool, check, finish, program, same, say, until


def command(spool, *arguments, expect=0):
    done = subprocess.run(
        [program("jobspool"), "schedules", *arguments, "--spool", spool.path],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, cwd="/",
    )
    same(done.returncode, expect, f"exit of schedules {' '.join(arguments)} {done.stderr.strip()}")
    return done.stdout


def seconds(id_):
    return time.mktime(time.strptime(id_.rsplit(".", 1)[1], "%Y%m%dT%H%M%SZ"))


with Spool(config="max_jobs = 8") as spool:
    ran = spool.at("ran")
    spool.handler("note", f'echo "$JOBSPOOL_ID" >> {ran}; echo {{\\"ok\\":true}}', "concurrency = 8\nmax_attempts = 3")
    spool.handler("slow", "sleep 2.5")
    spool.configure('cron = "* * * * * *"\ntype = "note"\noverlap = "queue"\ncatch_up = "all"\n', "schedules/every.toml")

    # Kills at moments that have nothing to do with the ticks; the daemon is away for a second or two at times.
    for pause in (2.3, 1.7, 0.9, 2.1, 1.4):
        spool.start()
        time.sleep(pause)
        spool.stop(signal.SIGKILL)
        if pause > 2:
            time.sleep(1.5)
    spool.start()
    time.sleep(2)
    command(spool, "disable", "every")
    # Disabled: what was made is done, and nothing more comes.
    until(lambda: spool.count("new", "cur") == 0, "all firings have ended")
    made = [name[:-5] for name in spool.names("done")]
    time.sleep(2.2)
    same([name[:-5] for name in spool.names("done")], made, "jobs after it was disabled")
    same(spool.names("dead"), [], "dead")
    ticks = [seconds(id_) for id_ in made]
    say(f"{len(made)} ticks over 5 kills")
    check(ticks == [ticks[0] + n for n in range(len(ticks))], f"a job for every second, none missing: {made}")
    fired = [event["job"] for event in spool.audit() if event["event"] == "schedule_fired"]
    same(sorted(fired), sorted(made), "schedule_fired lines, one for each")
    with open(ran) as file:
        runs = file.read().split()
    check(set(runs) == set(made), "every one of them ran")
    again = {id_ for id_ in runs if runs.count(id_) > 1}
    crashed = {id_ for id_ in made if len(spool.record("done", id_)["attempts"]) > 1}
    check(again <= crashed, f"what ran twice was interrupted by a kill: {again - crashed or ''}")

    # What it was disabled for is not made up for.
    command(spool, "enable", "every")
    back = time.time()
    until(lambda: len(spool.names("done")) > len(made), "it fires again")
    later = [name[:-5] for name in spool.names("done") if name[:-5] not in made]
    check(min(map(seconds, later)) > back - time.timezone - 2, f"nothing is made up for: {later}")
    command(spool, "disable", "every")

    # Overlap: while a job of 2.5 s runs, two or three ticks are skipped.
    spool.configure('cron = "* * * * * *"\ntype = "slow"\n', "schedules/slow.toml")
    until(lambda: len([name for name in spool.names("done") if name.startswith("slow.")]) >= 2, "two slow runs")
    command(spool, "disable", "slow")
    until(lambda: spool.count("new", "cur") == 0, "the last has ended")
    events = spool.audit()
    skipped = [event for event in events if event["event"] == "schedule_skipped"]
    check(len(skipped) >= 3 and all(e["reason"] == "overlap" and e["earlier"] < e["job"] for e in skipped),
          f"{len(skipped)} ticks are skipped for an earlier one")
    spans = sorted(
        (spool.record("done", name[:-5])["attempts"][0]["started_at"], spool.record("done", name[:-5])["finished_at"])
        for name in spool.names("done") if name.startswith("slow."))
    check(all(before[1] <= after[0] for before, after in zip(spans, spans[1:])), "never two beside each other")

    # By hand.
    same(json.loads(command(spool, "run", "every", "--wait")), {"ok": True}, "the result of a run asked for")
    id_ = command(spool, "run", "slow").strip()
    command(spool, "run", "slow", expect=65)
    command(spool, "run", "none", expect=66)
    until(lambda: spool.status().get("schedules", {}).get("slow", {}).get("running"), "status.json says it runs")
    spool.wait(id_)
    row = until(
        lambda: [row for row in json.loads(command(spool, "ls", "--json"))
                 if row["name"] == "slow" and row.get("last_result")],
        "the result is in the list")[0]
    same((row["enabled"], row["last_result"], row["job"], "next" in row), (False, "done", id_, False), "the list")
    runs = json.loads(command(spool, "show", "slow", "--json"))["runs"]
    same((runs[0]["job"], runs[0]["event"], runs[0]["outcome"]), (id_, "fired", "done"), "its history")

    # A bad edit is told with file and line, and the schedule goes on as it was.
    spool.configure('cron = "0 3 30 2 *"\ntype = "note"\n', "schedules/every.toml")
    check("every.toml:1" in spool.alerted("schedule:every"), "30 February is refused with file and line")
    same(spool.stop(), 0, "exit of the daemon")

    # With no daemon the same is told from the files and the log.
    os.unlink(spool.at("schedules", "every.toml"))
    rows = json.loads(command(spool, "--json"))
    same([(row["name"], row["job"], row["last_result"]) for row in rows], [("slow", id_, "done")], "the list without daemon")
    command(spool, "run", "slow", expect=69)
    same(command(spool, "simulate", "--cron", "0 0 29 2 *", "--from", "2026-01-01T00:00:00Z", "--count", "2"),
         "2028-02-29T00:00:00Z\n2032-02-29T00:00:00Z\n", "simulate")
    same(json.loads(command(spool, "simulate", "--cron", "@daily", "--from", "2026-01-01T00:00:00Z", "--count", "1", "--json")),
         ["2026-01-02T00:00:00Z"], "simulate in JSON, strictly after")
    command(spool, "simulate", "--cron", "61 * * * *", expect=65)
    spool.verify()
finish()
