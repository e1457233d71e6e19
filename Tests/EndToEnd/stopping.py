#!/usr/bin/env python3
"""SIGTERM and SIGINT: no new claims, the running job may finish within `drain`, one that does not is ended and handed back
with its attempt; a second signal does not wait; the exit code is 0 and no process is left. What is left in new/ runs at the
next start."""

import os
import signal
import time

from daemon import Spool, alive, check, finish, marked, same, say, until

LONG = r'''
read -r job
echo "$JOBSPOOL_ID $JOBSPOOL_ATTEMPT" >> "$JOBSPOOL_DIR/../runs"
trap 'echo "$JOBSPOOL_ID term" >> "$JOBSPOOL_DIR/../runs"; exit 75' TERM
[ -e "$JOBSPOOL_DIR/../short" ] && exit 0
n=0; while [ $n -lt 600 ]; do sleep 0.05; n=$((n + 1)); [ -e "$JOBSPOOL_DIR/../go.$JOBSPOOL_ID" ] && break; done
printf finished'''
STUBBORN = r'''
read -r job
echo "$JOBSPOOL_ID $JOBSPOOL_ATTEMPT" >> "$JOBSPOOL_DIR/../runs"
trap '' TERM
[ -e "$JOBSPOOL_DIR/../short" ] && exit 0
setsid sh -c 'trap "" TERM; sleep 60' </dev/null >/dev/null 2>&1 3>&- &
sleep 60'''


def runs(spool):
    try:
        with open(spool.at("..", "runs")) as file:
            return file.read().split("\n")[:-1]
    except FileNotFoundError:
        return []


def fresh(name, drain):
    spool = Spool(f"{name}/spool", config=f'max_jobs = 2\ndrain = "{drain}"')
    settings = 'concurrency = 2\ngrace = "500ms"\nmax_attempts = 1'
    spool.handler("long", LONG, settings)
    spool.handler("stubborn", STUBBORN, settings)
    return spool


def started(spool, *ids):
    until(lambda: all(f"{id_} 1" in runs(spool) for id_ in ids), f"{ids} run: {runs(spool)}")


def gone(spool, what):
    same(marked(spool.mark()), [], f"processes left after {what}")
    same([n for n in spool.names("cur")], [], f"files in cur/ after {what}")
    check(not os.path.exists(spool.at("status.json")), "status.json is gone: nobody publishes it")


for how in (signal.SIGTERM, signal.SIGINT):
    with fresh(f"finishes-{how.name}", "30s") as spool:
        spool.start()
        spool.drop("one", {"type": "long"})
        spool.drop("two", {"type": "long"})
        started(spool, "one", "two")
        spool.drop("waiting", {"type": "long"})
        spool.process.send_signal(how)
        until(lambda: spool.status().get("state") == "draining", "status.json says draining")
        spool.drop("late", {"type": "long"})
        for id_ in ("one", "two"):
            open(spool.at("..", f"go.{id_}"), "w").close()
        same(spool.process.wait(30), 0, f"exit after {how.name}")
        spool.process = None
        same([spool.record("done", id_)["result"] for id_ in ("one", "two")], ["finished"] * 2, "what ran has finished")
        same([spool.states(id_) for id_ in ("waiting", "late")], [["new"], ["new"]], "what had not begun")
        same(len(runs(spool)), 2, "starts")
        gone(spool, how.name)
        events = spool.verify()
        same((events[-1]["event"], events[0]["event"]), ("daemon_stopped", "daemon_started"), "first and last line")
        # And it all goes on.
        open(spool.at("..", "short"), "w").close()
        spool.start()
        for id_ in ("waiting", "late"):
            same(spool.wait(id_)["attempt"], 1, f"attempt of {id_} after the next start")
        same(spool.stop(), 0, "exit when idle")

with fresh("released", "300ms") as spool:
    spool.start()
    spool.drop("long", {"type": "long"})
    spool.drop("stubborn", {"type": "stubborn"})
    started(spool, "long", "stubborn")
    began = time.monotonic()
    same(spool.stop(), 0, "exit when jobs outlast drain")
    took = time.monotonic() - began
    say(f"drain 0.3 s, grace 0.5 s, one handler that ignores TERM: stopped after {took:.1f} s")
    check("long term" in runs(spool), "the handler was asked to end by SIGTERM")
    for id_ in ("long", "stubborn"):
        same(spool.states(id_), ["new"], f"{id_} is in")
        record = spool.record("new", id_)
        same((record["attempt"], record["attempts"]), (0, []), f"attempts of {id_}, though max_attempts is 1")
    gone(spool, "drain")
    spool.verify()
    open(spool.at("..", "short"), "w").close()
    spool.start()
    for id_ in ("long", "stubborn"):
        record = spool.wait(id_)
        same([run["n"] for run in record["attempts"]], [1], f"attempts of {id_} in the end")
    spool.stop()
    lives = [event["event"] for event in spool.verify() if event.get("job") == "long"]
    same(lives, ["submitted", "claimed", "released", "claimed", "finished"], "its life in the log")

with fresh("hurried", "1h") as spool:
    spool.start()
    spool.drop("stubborn", {"type": "stubborn"})
    started(spool, "stubborn")
    spool.process.send_signal(signal.SIGTERM)
    until(lambda: spool.status().get("state") == "draining", "status.json says draining")
    began = time.monotonic()
    same(spool.stop(), 0, "exit after a second SIGTERM")
    took = time.monotonic() - began
    say(f"a second SIGTERM with a drain of 1 h: stopped after {took:.1f} s")
    check(took < 20, "it did not wait")
    same(spool.states("stubborn"), ["new"], "the job is in")
    gone(spool, "a second SIGTERM")
    spool.verify()

with fresh("burst", "10s") as spool:
    # Signals that come at once, and while it starts.
    open(spool.at("..", "short"), "w").close()
    for number in range(200):
        spool.drop(f"job-{number}", {"type": "long"})
    for round_ in range(5):
        process = spool.start()
        for _ in range(round_):
            process.send_signal(signal.SIGTERM)
        same(spool.stop(), 0, f"exit after {round_ + 1} signals in a row")
        same(spool.names("cur"), [], "files in cur/")
        same(marked(spool.mark()), [], "processes left")
    spool.start()
    until(lambda: spool.count("done") == 200, "all jobs done")
    spool.stop()
    spool.verify()
finish()
