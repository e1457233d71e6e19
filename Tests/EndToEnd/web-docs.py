#!/usr/bin/env python3
"""The examples of docs/API.md, one after the other as a reader would paste them."""

import os
import re
import subprocess

from daemon import TOP, check, finish, program, say, until
from web import Web

with open(os.path.join(TOP, "docs", "API.md")) as file:
    blocks = re.findall(r"^```sh\n(.*?)^```", file.read(), re.M | re.S)
commands = [command for block in blocks for command in re.sub(r"\\\n|\|\n", lambda m: m[0].replace("\n", " ").replace("\\", ""), block).splitlines()]

with Web() as spool:
    spool.handler("echo", "cat")
    spool.configure('cron = "0 3 * * *"\ntype = "echo"', "schedules/nightly.toml")
    spool.serve()
    environment = {**os.environ, "URL": f"http://127.0.0.1:{spool.port}", "PATH": os.path.dirname(program("jobspool")) + ":" + os.environ["PATH"]}
    made = subprocess.run(["jobspool", "token", "create", "--spool", spool.path, "--role", "admin", "--ttl", "1h"], env=environment,
                          capture_output=True, text=True)
    environment["TOKEN"] = made.stdout.split()[-1]
    for command in commands:
        done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True)
        check(done.returncode == 0, f"{command[:110]}" + ("" if done.returncode == 0 else f": {done.returncode} {done.stdout[:200]}"))
        if '"id":"one"' in command:
            spool.wait("one")
            until(lambda: spool.get("/v1/jobs?state=done").json["total"] > 0, "it is listed")
        if '"later"' in command:
            until(lambda: spool.events("later", "submitted"), "the daemon has seen it")
    say(f"{len(commands)} examples of docs/API.md")

finish()
