#!/usr/bin/env python3
"""A worker: a job per line in, an answer per line out, until the input ends."""
import json, sys, traceback


def handle(job, say):
    say(progress=50, stage="greeting")
    return {"greeting": f"Hello, {job['payload']['name']}"}


answers = sys.stdout
sys.stdout = sys.stderr  # what a library prints goes to the log, not between the answers
for line in sys.stdin:
    job = json.loads(line)
    say = lambda **answer: print(json.dumps({"id": job["id"], **answer}), file=answers, flush=True)
    try:
        say(ok=True, result=handle(job, say))
    except (KeyError, TypeError) as error:  # the producer's mistake: trying again is pointless
        say(ok=False, retry=False, error={"code": "bad_payload", "message": repr(error)})
    except Exception as error:
        traceback.print_exc()
        say(ok=False, error={"code": type(error).__name__, "message": str(error)})
