#!/usr/bin/env python3
"""What handlers do and leave behind, as the daemon sees it: ends of every kind, results, progress, logs, control lines; and
processes that ignore SIGTERM or hide, of which none outlives its job."""

import json
import os
import time

from daemon import Spool, alive, check, finish, marked, same, say, until

with Spool(config='max_jobs = 16\nrescan = "1s"') as spool:
    quick = 'concurrency = 4\ngrace = "300ms"\n'
    once = quick + "max_attempts = 1\n"

    def run(id_, script, settings=once, state="done", payload=None, job=None):
        spool.handler(id_, script, settings)
        spool.drop(id_, {"type": id_, "payload": payload, **(job or {})})
        return spool.wait(id_, state)

    spool.start()

    # Results.
    same(run("result-text", "printf 'plain text\\nof two lines'")["result"], "plain text\nof two lines", "a text")
    same(run("result-json", "echo '{\"a\":[1,2.50,\"\\\\u00e4\"]}'")["result"], {"a": [1, 2.5, "\u00e4"]}, "JSON")
    check(b"2.50" in spool.read("done", "result-json"), "JSON is kept as it was written")
    check("result" not in run("result-none", "true"), "no output, no result")
    same(run("result-latin", "printf '\\344'")["outcome"], "done", "output that is no UTF-8")
    json.loads(spool.read("done", "result-latin"))
    record = run("result-large", "head -c 3000 /dev/zero | tr '\\0' a", once + "max_result_bytes = 2000", "dead")
    check("result" in record["error"]["code"] or "large" in record["error"]["code"], f"too large: {record['error']}")
    record = run("result-big", "head -c 900000 /dev/zero | tr '\\0' a")
    same(len(record["result"]), 900_000, "length of a result larger than any audit line")
    same(run("result-failed", "printf 'half done'; exit 65", state="dead")["result"], "half done", "result of a failure")
    record = run("result-endless", "yes", once + "timeout = \"5s\"", "dead")
    check(record["attempts"][0]["ended_at"] and record["outcome"] == "failed", f"yes(1) is stopped: {record['error']}")
    same(run("no-reader", "exec 0<&-; printf ok", payload="x" * 200_000)["result"], "ok", "a handler that reads no input")
    record = run("closes-all", "exec 0<&- 1>&- 2>&- 3>&-; sleep 0.2")
    same(record["outcome"], "done", "a handler that closes everything and goes on")

    # Exit codes.
    for code in (64, 65, 66, 77, 78, 100):
        record = run(f"exit-{code}", f"exit {code}", quick, "dead")
        same((len(record["attempts"]), record["attempts"][0]["exit"]), (1, code), f"exit {code} is for good")
    for code in (1, 75, 126, 127):
        record = run(f"exit-{code}", f"exit {code}", quick + 'delays = ["10ms"]', "dead")
        same([a["exit"] for a in record["attempts"]], [code, code], f"exit {code} is tried again")
    record = run("killed", "kill -9 $$", quick + 'delays = ["10ms"]', "dead")
    same([a.get("signal") for a in record["attempts"]], [9, 9], "a handler that is killed is tried again")
    record = run("segv", "kill -SEGV $$", once, "dead")
    same(record["attempts"][0].get("signal"), 11, "signal of a crash")
    record = run("third-time", 'test "$JOBSPOOL_ATTEMPT" = 3', quick + 'delays = ["10ms", "20ms", "30ms"]')
    same([a["n"] for a in record["attempts"]], [1, 2, 3], "attempts until it went well")
    record = run("job-decides", "exit 1", quick + 'delays = ["1h"]', "dead", job={"delays": ["10ms"], "max_attempts": 2})
    same(len(record["attempts"]), 2, "the job's own delays and max_attempts")

    # Environment and input.
    record = run("environment", 'cat; env -0 | tr "\\0" "\\n" | grep ^JOBSPOOL_ | sort >&2; pwd >&2; echo "$EXTRA" >&2',
                 once + 'env = { EXTRA = "a b=c" }', payload={"x": "\u2028"}, job={"tags": ["t"], "meta": {"m": 1}})
    given = record["result"]
    same({key: given.get(key) for key in ("id", "type", "attempt", "payload")},
         {"id": "environment", "type": "environment", "attempt": 1, "payload": {"x": "\u2028"}}, "what it reads")
    with open(spool.at("log", "jobs", "environment.log")) as file:
        log = file.read()
    for line in ("JOBSPOOL_ID=environment", "JOBSPOOL_TYPE=environment", "JOBSPOOL_ATTEMPT=1", "JOBSPOOL_MAX_ATTEMPTS=1",
                 f"JOBSPOOL_JOB={spool.at('cur', 'environment.json')}", f"JOBSPOOL_DIR={spool.path}", "JOBSPOOL_NODE=", "a b=c"):
        check(line in log, f"log/jobs/environment.log has {line}")
    record = run("descriptors", "ls -l /proc/self/fd | sed -n 's/.* \\([0-9]*\\) -> .*/\\1/p' | sort -n | tr '\\n' ' '")
    numbers = [int(n) for n in record["result"].split()]
    check(set(numbers) <= {0, 1, 2, 3, 4} and 3 in numbers, f"descriptors a handler has (and ls' own): {numbers}")

    # Logs: bounded, whatever is written.
    run("noisy", "head -c 20000000 /dev/zero | tr '\\0' b | fold -w 100 >&2; echo the end >&2")
    size = os.path.getsize(spool.at("log", "jobs", "noisy.log"))
    check(0 < size < 4 << 20, f"20 MB on stderr leave {size} bytes of log")

    # Control lines.
    spool.handler("slow", """
echo '{"progress":30,"stage":"select","message":"half \\"way\\""}' >&3
while [ ! -e "$JOBSPOOL_DIR/../go.$JOBSPOOL_ID" ]; do sleep 0.02; done
echo '{"progress":60,"stage":"write"}' >&3""", once)
    spool.drop("slow", {"type": "slow"})
    shown = until(lambda: [r for r in spool.status().get("running", []) if r["id"] == "slow" and r.get("percent")],
                  "progress in status.json")
    if shown:
        same({k: shown[0].get(k) for k in ("id", "type", "attempt", "percent", "stage", "message")},
             {"id": "slow", "type": "slow", "attempt": 1, "percent": 30, "stage": "select", "message": 'half "way"'},
             "progress in status.json")
    open(spool.at("..", "go.slow"), "w").close()
    same(spool.wait("slow")["progress"], {"percent": 100, "stage": "write", "message": 'half "way"'}, "and at the end")
    same([e["stage"] for e in spool.events("slow", "stage")], ["select", "write"], "stages in the audit log")
    same(run("result-3", "echo '{\"result\":{\"by\":3}}' >&3")["result"], {"by": 3}, "a result by descriptor 3")
    record = run("error-3", "echo '{\"error\":{\"code\":\"no_stock\",\"message\":\"gone\",\"details\":{\"n\":1}}}' >&3; exit 65",
                 state="dead")
    same(record["error"], {"code": "no_stock", "message": "gone", "details": {"n": 1}}, "an error in its own words")
    record = run("retry-in", "[ $JOBSPOOL_ATTEMPT = 2 ] && exit 0; echo '{\"retry_in\":\"50ms\"}' >&3; exit 75",
                 quick + 'delays = ["1h"]')
    same(len(record["attempts"]), 2, "retry_in overrides the hour of delays")
    record = run("garbage-3", "head -c 100000 /dev/urandom >&3; echo >&3; echo '[1]' >&3; echo '{\"progress\":\"x\"}' >&3; "
                 "echo '{\"progress\":1e9}' >&3; printf '{\"stage\":\"open' >&3")
    same(record["outcome"], "done", "a handler that writes nonsense to descriptor 3")

    # Timeouts, and who does not go.
    record = run("timeout", "sleep 60", once + 'timeout = "200ms"', "dead")
    same((record["attempts"][0]["outcome"], record["error"]["code"]), ("timeout", "timeout"), "a job past its timeout")
    began = time.monotonic()
    run("deaf", "trap '' TERM; sleep 60 & sleep 60 & wait; sleep 60", once + 'timeout = "200ms"', "dead")
    check(time.monotonic() - began < 10, "one that ignores SIGTERM is killed after grace")
    record = run("stalled", "echo '{\"heartbeat\":true}' >&3; sleep 60", once + 'stalled_after = "300ms"', "dead")
    same(record["error"]["code"], "stalled", "one that gives no sign of life")
    record = run("beats", "for n in 1 2 3 4 5 6; do echo '{\"heartbeat\":true}' >&3; sleep 0.15; done",
                 once + 'stalled_after = "500ms"')
    same(record["outcome"], "done", "one that does")
    same(marked(spool.mark()), [], "processes left after timeouts")

    hide = ("python3 -c 'import os,time,signal\n"
            "for n in range(3):\n"
            " if os.fork()==0:\n"
            "  os.setsid()\n"
            "  if os.fork(): os._exit(0)\n"
            "  signal.signal(15, signal.SIG_IGN)\n"
            "  open(os.environ[\"JOBSPOOL_DIR\"]+\"/../hidden.\"+str(os.getpid()),\"w\").close()\n"
            "  time.sleep(60)\n"
            "  os._exit(0)\n"
            "time.sleep(0.1)' </dev/null >/dev/null 2>&1 3>&-\n")
    for id_, end, settings, state in (("hides", "printf left", once, "done"), ("hides-fails", "exit 65", once, "dead"),
                                      ("hides-long", "sleep 60", once + 'timeout = "1s"', "dead")):
        record = run(id_, hide + end, settings, state)
        same(marked(spool.mark()), [], f"processes left when {id_} is settled")
    same(spool.job("done", "hides")["jobspool"]["result"], "left", "its result")
    hidden = [name for name in os.listdir(spool.at("..")) if name.startswith("hidden.")]
    check(len(hidden) == 9 and not any(alive(name.split(".")[1]) for name in hidden), f"{len(hidden)} double forks are gone")

    # One that keeps standard output open in a child does not hold its job up for ever.
    began = time.monotonic()
    run("holds-pipe", "sleep 60 & printf ok")
    check(time.monotonic() - began < 10, "a child with the pipe still open is ended with its job")

    # A program that vanishes costs no attempt.
    spool.handler("vanishes", "printf ran", once)
    until(lambda: "vanishes" in spool.status().get("types", {}), "the type is known")
    os.rename(spool.at("handlers", "bin", "vanishes"), spool.at("handlers", "bin", "away"))
    spool.drop("vanishes", {"type": "vanishes"})
    spool.alerted("handler:vanishes")
    same(spool.states("vanishes"), ["new"], "the job waits in")
    os.rename(spool.at("handlers", "bin", "away"), spool.at("handlers", "bin", "vanishes"))
    same(spool.wait("vanishes")["attempt"], 1, "attempts when it is back")
    # A script whose interpreter is not there fails to start in a way only exec tells.
    spool.handler("no-shell", "echo", once, interpreter="/no/such/interpreter")
    spool.drop("no-shell", {"type": "no-shell"})
    until(lambda: "handler:no-shell" in spool.alerts() or spool.states("no-shell") == ["dead"], "no interpreter is said")
    # The alert is published a moment before the job is back.
    until(lambda: spool.states("no-shell") != ["cur"], "its job has left cur/")
    same(spool.states("no-shell"), ["new"], f"its job ({spool.alerts().get('handler:no-shell')})")

    check(spool.starts == 1 and spool.process.poll() is None, "the daemon ran on through all of it")
    open_files = len(os.listdir(f"/proc/{spool.process.pid}/fd"))
    check(open_files < 40, f"{open_files} descriptors are open at the end")
    with open(f"/proc/{spool.process.pid}/task/{spool.process.pid}/children") as file:
        children = file.read().split()
    same(len(children), 1, "children of the daemon, zombies included: its watcher")
    same(spool.stop(), 0, "exit of the daemon")
    spool.verify()
finish()
