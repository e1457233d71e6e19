#!/usr/bin/env python3
"""The id is the idempotency key, for dropped files too: a file under an id that runs, is held or done is discarded when it
is the same job again, and set aside as a duplicate when it is another; the first is never touched. `mv` back into new/ is
a requeue. Records nobody vouches for are refused."""

import json
import multiprocessing
import os
import shutil

from daemon import Spool, check, finish, same, until

ECHO = 'read -r job; echo "$JOBSPOOL_ID $JOBSPOOL_ATTEMPT" >> "$JOBSPOOL_DIR/../runs"; printf ran'
# Runs until somebody makes the file spool/go.ID.
WAIT = ECHO + '\nwhile [ ! -e "$JOBSPOOL_DIR/../go.$JOBSPOOL_ID" ]; do sleep 0.02; done'
FAIL = ECHO + "\nexit 65"
RETRY = ECHO + "\n[ -e \"$JOBSPOOL_DIR/../go.$JOBSPOOL_ID\" ] || exit 75"


def runs(spool, id_):
    try:
        with open(spool.at("..", "runs")) as file:
            return [line.split()[1] for line in file if line.split()[0] == id_]
    except FileNotFoundError:
        return []


def go(spool, id_):
    open(spool.at("..", f"go.{id_}"), "w").close()


def fresh(spool, id_):
    """Records in dead/ that are twins of the id."""
    found = []
    for name in os.listdir(spool.at("dead")):
        record = spool.record("dead", name[:-5]) if name.endswith(".json") else {}
        if record.get("twin_of") == id_:
            found.append(record)
    return found


def twin_lines(spool, id_):
    return [e for e in spool.audit() if e["event"] == "duplicate" and e.get("twin_of") == id_]


def twins_of(spool, id_, state, first):
    """Drops the same job again, then another under its name, while the first lies in `state`."""
    before = spool.read(state, id_)
    spool.drop(id_, first)
    until(lambda: len(twin_lines(spool, id_)) == 1, f"a duplicate line for {id_} in {state}")
    until(lambda: not os.path.exists(spool.at("new", f"{id_}.json")), f"the twin of {id_} leaves new/")
    line = twin_lines(spool, id_)[0]
    check(line.get("discarded") is True, f"the same bytes as in {state}/ are discarded, and the log says so")
    same(fresh(spool, id_), [], f"twins of {id_} in dead/")
    spool.drop(id_, {"type": first["type"], "payload": "something else"})
    until(lambda: len(fresh(spool, id_)) == 1, f"another job under the name of {state}/{id_} in dead/")
    (record,) = fresh(spool, id_)
    same((record["outcome"], record["error"]["code"]), ("duplicate", "duplicate"), f"its record, twin of {state}")
    check(record["id"] != id_, "it lies there under a fresh id")
    check(spool.read(state, id_) == before, f"{state}/{id_}.json is byte for byte as before")


def drop_many(path, id_, job, barrier):
    barrier.wait()
    for round_ in range(5):
        staged = os.path.join(path, "tmp", f"racer-{os.getpid()}-{round_}")
        with open(staged, "wb") as file:
            file.write(job)
        os.rename(staged, os.path.join(path, "new", id_ + ".json"))


with Spool(config='max_jobs = 8\nrescan = "1s"') as spool:
    fast = "concurrency = 8\nmax_attempts = 50\nbackoff = { base = \"50ms\", factor = 1.0, jitter = 0.0 }"
    spool.handler("echo", ECHO, fast)
    spool.handler("wait", WAIT, fast)
    spool.handler("fail", FAIL, fast)
    spool.handler("retry", RETRY, fast)
    spool.start()

    # Of a running job.
    job = {"type": "wait", "payload": 1}
    spool.drop("runs", job)
    until(lambda: runs(spool, "runs"), "the job runs")
    twins_of(spool, "runs", "cur", job)
    go(spool, "runs")
    spool.wait("runs")
    same(runs(spool, "runs"), ["1"], "runs of an id dropped three times")

    # Of a done one, dropped in other ways too.
    job = {"type": "echo", "payload": 1}
    spool.drop("finished", job)
    spool.wait("finished")
    twins_of(spool, "finished", "done", job)
    shutil.copyfile(spool.at("done", "finished.json"), spool.at("new", "finished.json"))
    until(lambda: len(twin_lines(spool, "finished")) == 3, "cp done/X new/ is a twin")
    same(runs(spool, "finished"), ["1"], "runs of a job that is done")
    check(os.path.exists(spool.at("done", "finished.json")), "done/finished.json is still there")

    # Of a held one.
    spool.drop("held", {"type": "echo", "payload": 2}, to="hold")
    twins_of(spool, "held", "hold", {"type": "echo", "payload": 2})
    same(runs(spool, "held"), [], "runs of a held job")
    os.rename(spool.at("hold", "held.json"), spool.at("new", "held.json"))
    spool.wait("held")
    same(runs(spool, "held"), ["1"], "runs after mv hold/X new/")

    # Of a dead one: it runs, with the history, and the dead file goes.
    spool.drop("died", {"type": "fail", "payload": 1})
    spool.wait("died", "dead")
    spool.drop("died", {"type": "echo", "payload": 2})
    record = spool.wait("died")
    same(spool.states("died"), ["done"], "where a job is that was dropped anew after it died")
    same([run["outcome"] for run in record["attempts"]][-2:], ["failed", "done"], "attempts, with the earlier one")

    # A retry whose place in new/ was taken by a twin: the twin moves away, the first goes on.
    spool.drop("retried", {"type": "retry", "payload": 1})
    until(lambda: len(runs(spool, "retried")) >= 2, "a job that is retried")
    for number in range(30):
        staged = spool.at("tmp", "taker")
        with open(staged, "w") as file:
            file.write('{"type":"retry","payload":"taker %d"}' % number)
        try:
            # Only while it runs, or this would be an owner's replacing of their own waiting job.
            until(lambda: os.path.exists(spool.at("cur", "retried.json")), "it runs again")
            os.link(staged, spool.at("new", "retried.json"))
        except FileExistsError:
            pass
        os.unlink(staged)
        if len(fresh(spool, "retried")) >= 3:
            break
    until(lambda: len(fresh(spool, "retried")) >= 1, "twins that took a retry's place are in dead/")
    go(spool, "retried")
    record = spool.wait("retried")
    same(spool.job("done", "retried")["payload"], 1, "payload of the retried job")
    numbers = [int(number) for number in runs(spool, "retried")]
    same(numbers, list(range(1, len(numbers) + 1)), "its attempts, counted by itself")

    # mv dead/X new/ and mv done/X new/ are requeues: attempts start again, the history stays.
    spool.handler("moody", ECHO + '\n[ -e "$JOBSPOOL_DIR/../go.$JOBSPOOL_ID" ] || exit 66', fast)
    spool.drop("moody", {"type": "moody", "delay": 0.01})
    record = spool.wait("moody", "dead")
    same(record.get("outcome"), "failed", "a type whose handler appeared just before its job is known")
    go(spool, "moody")
    os.rename(spool.at("dead", "moody.json"), spool.at("new", "moody.json"))
    record = spool.wait("moody")
    same(runs(spool, "moody"), ["1", "1"], "attempts of a job moved from dead to new")
    same([run["n"] for run in record.get("attempts", [])], [1, 1], "its history")
    os.rename(spool.at("done", "moody.json"), spool.at("new", "moody.json"))
    until(lambda: len(runs(spool, "moody")) == 3, "mv done/X new/ runs it again")
    record = spool.wait("moody")
    same(runs(spool, "moody"), ["1", "1", "1"], "attempts of a job moved from done to new")
    lives = [e["event"] for e in spool.events("moody")]
    same(lives, ["submitted", "claimed", "buried", "requeued", "claimed", "finished", "requeued", "claimed", "finished"],
         "its life in the log")

    # Eight processes race with the same id and the same bytes: it runs once.
    barrier = multiprocessing.Barrier(8)
    racers = [
        multiprocessing.Process(target=drop_many, args=(spool.path, "raced", b'{"type":"echo"}', barrier)) for _ in range(8)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    spool.wait("raced")
    until(lambda: not os.path.exists(spool.at("new", "raced.json")), "new/ is empty after the race")
    until(lambda: not os.listdir(spool.at("cur")), "cur/ is empty after the race")
    same(runs(spool, "raced"), ["1"], "runs of an id dropped 40 times by eight processes")
    same(fresh(spool, "raced"), [], "twins of it in dead/")

    # Records that the log does not bear out.
    good = spool.record("done", "finished")
    forged = {
        "forged-new": {"type": "echo", "jobspool": {"id": "forged-new", "state": "new", "attempt": 3,
                       "submitted_at": good["submitted_at"], "submitted_by": {"uid": 0, "user": "root"}}},
        "forged-id": {"type": "echo", "jobspool": good},
        "forged-dead": {"type": "echo", "jobspool": dict(good, id="forged-dead", state="dead", outcome="failed")},
        "forged-text": {"type": "echo", "jobspool": "believe me"},
    }
    for id_, job in forged.items():
        spool.drop(id_, job)
        record = spool.wait(id_, "dead")
        same(record.get("outcome"), "rejected", f"outcome of {id_} ({record.get('error')})")
        # It follows a moment after the record.
        until(lambda: os.path.exists(spool.at("dead", f"{id_}.bad")), f"dead/{id_}.bad to keep what was dropped")
        same(runs(spool, id_), [], f"runs of {id_}")
    # A true record with one number changed.
    spool.drop("edited", {"type": "fail"})
    spool.wait("edited", "dead")
    text = spool.read("dead", "edited").replace(b'"outcome":"failed"', b'"outcome":"done"', 1)
    os.unlink(spool.at("dead", "edited.json"))
    spool.drop("edited", text)
    same(spool.wait("edited", "dead").get("outcome"), "rejected", "outcome of a record changed by hand")

    same(spool.stop(), 0, "exit of the daemon")
    spool.verify()
finish()
