#!/usr/bin/env python3
"""What others' programs say of what the web program serves, after jobs of every end: Prometheus' own parser for Python, twice, and
`promtool check metrics` where it is installed, of /metrics; the official description of OpenAPI 3.1 of /openapi.json. Fetched
when this runs and kept nowhere. (Requests made up from /openapi.json are Tests/EndToEnd/web-schema.py's, a foreign WebSocket
client is in web-listeners.py.)"""

import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "EndToEnd"))
from daemon import check, finish, same, say, scratch, skip, until  # noqa: E402
from web import Web  # noqa: E402

needs = os.path.join(scratch(), "needs")
done = subprocess.run(
    [sys.executable, "-m", "pip", "install", "--quiet", "--target", needs, "prometheus_client", "openapi-spec-validator"],
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
)
if done.returncode != 0:
    skip(f"pip cannot fetch prometheus_client and openapi-spec-validator: {done.stdout.decode(errors='replace')[-300:]}")
sys.path.insert(0, needs)
from openapi_spec_validator import OpenAPIV31SpecValidator  # noqa: E402
from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

with Web() as spool:
    spool.handler("good", "cat")
    spool.handler("bad", "exit 65")
    spool.handler("odd", "exit 1", 'max_attempts = 2\ndelays = ["10ms"]')
    spool.configure('cron = "0 3 * * *"\ntype = "good"', "schedules/nightly.toml")
    spool.serve()
    for number in range(20):
        spool.drop(f"good-{number}", {"type": "good"})
        spool.drop(f"bad-{number}", {"type": "bad"})
    spool.drop("odd", {"type": "odd"})
    spool.drop("none", b"{")
    spool.wait("odd", "dead")
    spool.wait("none", "dead")
    for number in range(20):
        spool.wait(f"good-{number}")
        spool.wait(f"bad-{number}", "dead")

    answer = until(lambda: (lambda a: a if b'"good"' in a.body else None)(spool.get("/metrics")), "metrics of these jobs")
    text = answer.body.decode()
    check(answer.headers.get("Content-Type", "").startswith("text/plain"), f"served as {answer.headers.get('Content-Type')}")
    families = list(text_string_to_metric_families(text))
    samples = sum(len(family.samples) for family in families)
    untyped = [family.name for family in families if family.type in ("unknown", "untyped") or not family.documentation]
    same(untyped, [], "families without a type or a text")
    twice = [sample for family in families for sample in family.samples]
    keys = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in twice]
    same(len(keys), len(set(keys)), "samples, and different ones")
    check(len(families) > 10 and samples > 50, f"Prometheus' parser reads {len(families)} families with {samples} samples")
    said = "promtool is not installed"
    if shutil.which("promtool"):
        lint = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
        print("      " + "\n      ".join((lint.stdout + lint.stderr).splitlines()[:20]))
        check(lint.returncode == 0, "promtool finds nothing")
        said = "promtool finds " + ("nothing" if lint.returncode == 0 else f"{len((lint.stdout + lint.stderr).splitlines())} things")
    say(f"/metrics: {len(families)} families, {samples} samples; {said}")

    document = json.loads(spool.get("/openapi.json").body)
    wrong = [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in OpenAPIV31SpecValidator(document).iter_errors()]
    same(wrong[:5], [], "what is wrong with /openapi.json by the description of OpenAPI 3.1")
    routes = sum(len([verb for verb in path if verb in ("get", "post", "put", "patch", "delete")]) for path in document["paths"].values())
    say(f"/openapi.json: {len(document['paths'])} paths, {routes} operations, {len(wrong)} findings")
    spool.stop()
finish()
