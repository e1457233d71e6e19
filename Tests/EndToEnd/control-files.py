#!/usr/bin/env python3
"""Requests and switches in ctl/: cancel, requeue, hold and release of waiting and running jobs, pause files, and who may.
The asker is the file's owner; strangers may cancel what is theirs and nothing else."""

import json
import os
import shutil
import time

from daemon import Spool, check, finish, marked, same, skip, until

NOBODY = 65534

with Spool(config='max_jobs = 4\nrescan = "1s"') as spool:
    for folder in (spool.path, spool.at("ctl"), spool.at("new"), spool.at("tmp")):
        os.chmod(folder, 0o777)
    spool.handler("echo", "cat", "concurrency = 4")
    spool.handler("other", "cat", "concurrency = 4")
    spool.handler("long", 'setsid sleep 60 & sleep 60', 'concurrency = 4\ngrace = "300ms"')
    spool.handler("fail", "exit 65")
    spool.start()
    far = {"type": "echo", "run_at": "2099-01-01T00:00:00Z"}

    def result(answer, job):
        return next((r for r in answer.get("results", []) if r["job"] == job), answer)

    # Cancel: waiting, running, neither.
    spool.drop("waits", far)
    until(lambda: spool.type("echo").get("scheduled") == 1, "it is scheduled")
    answer = result(spool.ask({"do": "cancel", "jobs": ["waits"]}), "waits")
    same((answer["ok"], answer.get("state")), (True, "dead"), "cancel of a waiting job")
    same(spool.record("dead", "waits")["outcome"], "cancelled", "its outcome")
    spool.drop("runs", {"type": "long"})
    until(lambda: spool.status().get("running_count") == 1, "it runs")
    answer = result(spool.ask({"do": "cancel", "jobs": ["runs"]}), "runs")
    same((answer["ok"], answer.get("state")), (True, "dead"), "cancel of a running job")
    record = spool.record("dead", "runs")
    same((record["outcome"], record["error"]["code"]), ("cancelled", "cancelled"), f"its end: {record['error']}")
    same(marked(spool.mark()), [], "processes left when it is answered")
    answer = spool.ask({"do": "cancel", "jobs": ["nowhere", "../etc", "runs", "waits"]})
    same([r["ok"] for r in answer["results"]], [False] * 4, f"cancel of what cannot be: {[r['code'] for r in answer['results']]}")
    spool.drop("finished", {"type": "echo"})
    spool.wait("finished")
    check(not result(spool.ask({"do": "cancel", "jobs": ["finished"]}), "finished")["ok"], "cancel of a finished job")
    same(spool.states("finished"), ["done"], "which stays in")

    # Requeue, hold, release, purge.
    spool.drop("fails", {"type": "fail"})
    spool.wait("fails", "dead")
    before = len(spool.events("fails", "claimed"))
    check(result(spool.ask({"do": "requeue", "jobs": ["fails"]}), "fails")["ok"], "requeue")
    until(lambda: len(spool.events("fails", "buried")) == 2, "it runs again")
    same([a["n"] for a in spool.wait("fails", "dead")["attempts"]], [1, 1], "attempts after a requeue")
    spool.drop("kept", far)
    until(lambda: spool.type("echo").get("scheduled") == 1, "it is scheduled")
    same(result(spool.ask({"do": "hold", "jobs": ["kept"]}), "kept").get("state"), "hold", "hold")
    same(spool.states("kept"), ["hold"], "a held job is in")
    same(result(spool.ask({"do": "release", "jobs": ["kept"]}), "kept").get("state"), "new", "release")
    same(spool.states("kept"), ["new"], "a released job is in")
    check(result(spool.ask({"do": "purge", "jobs": ["finished"]}), "finished")["ok"], "purge")
    same(spool.states("finished"), [], "a purged job is in")
    many = [f"many-{n:03}" for n in range(300)]
    for id_ in many:
        spool.drop(id_, far)
    until(lambda: spool.type("echo").get("scheduled") == 301, "300 more are scheduled")
    answer = spool.ask({"do": "cancel", "jobs": many})
    same(sum(r["ok"] for r in answer["results"]), 300, "jobs cancelled with one request")

    # Nonsense.
    for name, text in (("not-json", b"{"), ("verb", b'{"do":"explode","jobs":[]}'), ("list", b"[]"),
                       ("jobs", b'{"do":"cancel","jobs":"all"}'), ("empty", b""), ("deep", b"[" * 100_000)):
        staged = spool.at("ctl", ".staged")
        with open(staged, "wb") as file:
            file.write(text)
        os.rename(staged, spool.at("ctl", f"{name}.json"))
        reply = spool.at("ctl", f"{name}.reply")
        if until(lambda: os.path.exists(reply), f"an answer to {name}"):
            with open(reply) as file:
                answer = json.load(file)
            check(answer["ok"] is False and answer["message"], f"{name}: {answer['message']}")
    os.mkfifo(spool.at("ctl", "fifo.json"))
    os.symlink("/etc/shadow", spool.at("ctl", "link.json"))
    os.mkdir(spool.at("ctl", "folder.json"))
    spool.drop("after-nonsense", {"type": "echo"})
    spool.wait("after-nonsense")
    time.sleep(2.2)  # Two more scans.
    for name in ("fifo", "link", "folder"):
        refusals = [e for e in spool.audit() if e["event"] == "refused" and e.get("file") == f"{name}.json"]
        same(len(refusals), 1, f"times that {name} is refused: {refusals[:1]}")
        same(os.path.lexists(spool.at("ctl", f"{name}.json")), name == "folder", f"{name} is still there")

    # Switches.
    def pause(name):
        open(spool.at("ctl", name), "w").close()

    pause("pause")
    until(lambda: spool.status().get("paused"), "status.json says paused")
    spool.drop("paused", {"type": "echo"})
    time.sleep(0.3)
    same(spool.states("paused"), ["new"], "a job dropped while paused is in")
    os.unlink(spool.at("ctl", "pause"))
    spool.wait("paused")
    pause("pause.echo")
    until(lambda: spool.type("echo").get("paused"), "status.json says the type is paused")
    spool.drop("type-paused", {"type": "echo"})
    spool.drop("type-other", {"type": "other"})
    spool.wait("type-other")
    same(spool.states("type-paused"), ["new"], "a job of a paused type is in")
    # The switch is a state: it is still so after a restart.
    spool.stop()
    spool.start()
    until(lambda: spool.status().get("types", {}).get("echo", {}).get("paused"), "the type is paused after a restart")
    time.sleep(0.3)
    same(spool.states("type-paused"), ["new"], "a job of a type still paused is in")
    os.unlink(spool.at("ctl", "pause.echo"))
    spool.wait("type-paused")
    names = [e["event"] for e in spool.audit() if e["event"] in ("paused", "resumed")]
    same(names.count("paused") >= 2 and names.count("resumed") >= 2, True, f"pauses in the log: {names}")

    # Strangers.
    if os.geteuid() == 0:
        for name in ("pause", "pause.other"):
            staged = spool.at("ctl", ".strange")
            open(staged, "w").close()
            os.chown(staged, NOBODY, NOBODY)
            os.rename(staged, spool.at("ctl", name))
            until(lambda: not os.path.exists(spool.at("ctl", name)), f"{name} by a stranger is removed")
        check(not spool.status()["paused"], "a stranger's pause does not count")
        spool.drop("roots", far)
        staged = spool.at("tmp", "theirs.json")
        with open(staged, "w") as file:
            json.dump(far, file)
        os.chown(staged, NOBODY, NOBODY)
        os.rename(staged, spool.at("new", "theirs.json"))
        until(lambda: len(spool.events("theirs", "submitted")) + len(spool.events("roots", "submitted")) == 2, "both wait")
        same(spool.events("theirs")[0]["uid"], NOBODY, "whose job it is")
        answer = spool.ask({"do": "cancel", "jobs": ["roots", "theirs"]}, "strange", NOBODY)
        same([result(answer, id_)["ok"] for id_ in ("roots", "theirs")], [False, True], f"cancel by a stranger: {answer}")
        same((spool.states("roots"), spool.states("theirs")), (["new"], ["dead"]), "where they are")
        for verb in ("requeue", "hold", "release", "purge", "reload", "edit", "run-schedule"):
            id_ = "theirs" if verb in ("requeue", "purge") else "roots"
            answer = spool.ask({"do": verb, "jobs": [id_], "job": id_, "text": "{}", "schedule": "x"}, "strange", NOBODY)
            check(not result(answer, id_).get("ok"), f"{verb} by a stranger: {answer.get('code') or result(answer, id_).get('code')}")
        same((spool.states("roots"), spool.states("theirs")), (["new"], ["dead"]), "where they still are")
        check(any(e["event"] == "refused" for e in spool.audit()), "the log says who tried")
        # A running job of theirs; one adopted by copy belongs to root as a file, but is still theirs.
        staged = spool.at("tmp", "theirs-runs.json")
        with open(staged, "w") as file:
            json.dump({"type": "long"}, file)
        os.chown(staged, NOBODY, NOBODY)
        os.rename(staged, spool.at("new", "theirs-runs.json"))
        until(lambda: spool.status().get("running_count") == 1, "it runs")
        check(result(spool.ask({"do": "cancel", "jobs": ["theirs-runs"]}, "strange", NOBODY), "theirs-runs")["ok"],
              "a stranger cancels a running job of their own")
        same(spool.record("dead", "theirs-runs")["submitted_by"]["uid"], NOBODY, "who submitted it")
        # After a retry the file is root's, the job still theirs.
        spool.handler("later", "exit 75", 'delays = ["1h"]')
        staged = spool.at("tmp", "theirs-later.json")
        with open(staged, "w") as file:
            json.dump({"type": "later"}, file)
        os.chown(staged, NOBODY, NOBODY)
        os.rename(staged, spool.at("new", "theirs-later.json"))
        until(lambda: spool.events("theirs-later", "retried"), "it waits for its retry")
        until(lambda: spool.states("theirs-later") == ["new"], "in new/")
        answer = spool.ask({"do": "cancel", "jobs": ["theirs-later"]}, "strange", NOBODY)
        check(result(answer, "theirs-later")["ok"], f"and one that waits for its retry: {answer}")
    else:
        print("not root: nobody to be a stranger")

    same(spool.stop(), 0, "exit")
    spool.verify()
finish()
