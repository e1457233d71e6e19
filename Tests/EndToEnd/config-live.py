#!/usr/bin/env python3
"""Mistakes in configuration files: `config check` shows all of them with file, line and key, and what was expected; the
running daemon keeps what it had, says so once and goes on; mended, it takes the new one."""

import json
import os
import subprocess

from daemon import Spool, check, finish, program, same, say, until

# file, text, line, key, what is expected (a part of the sentence)
MISTAKES = [
    ("jobspool.toml", 'max_jobs = 2\nmax_jbs = 3\n', 2, "max_jbs", "max_jobs"),
    ("jobspool.toml", 'max_jobs = "two"\n', 1, "max_jobs", "number"),
    ("jobspool.toml", '\n\nmax_jobs = 0\n', 3, "max_jobs", "1"),
    ("jobspool.toml", '[retain]\ndone = "soon"\n', 2, "retain.done", "duration"),
    ("jobspool.toml", '[[notify]]\non = ["died"]\ncommand = ["true"]\n', 2, "notify[1].on", "dead"),
    ("jobspool.toml", 'durability = "some"\n', 1, "durability", "relaxed"),
    ("jobspool.toml", 'max_jobs = \n', 1, "", ""),
    ("handlers/echo.toml", 'command = ["/bin/cat"]\ntimeot = "1m"\n', 2, "timeot", "timeout"),
    ("handlers/echo.toml", 'command = "/bin/cat"\n', 1, "command", "list"),
    ("handlers/echo.toml", 'command = ["/bin/cat"]\n[rate]\nlimit = 1\nper = "1x"\n', 4, "rate.per", "5m"),
    ("schedules/tick.toml", 'cron = "61 * * * *"\ntype = "echo"\n', 1, "cron", "59"),
    ("schedules/tick.toml", 'cron = "0 0 30 2 *"\ntype = "echo"\n', 1, "cron", "never"),
    ("schedules/tick.toml", 'cron = "@daily"\ntype = "echo"\ntimezone = "Mars/Base"\n', 3, "timezone", "Mars/Base"),
]
GOOD = {
    "jobspool.toml": 'max_jobs = 3\nrescan = "1s"\n',
    "handlers/echo.toml": 'command = ["/bin/cat"]\nconcurrency = 2\n',
    "schedules/tick.toml": 'cron = "0 0 1 1 *"\ntype = "echo"\n',
}

with Spool() as spool:
    for name, text in GOOD.items():
        spool.configure(text, name)
    spool.handler("other", "cat")

    def problems():
        done = subprocess.run([program("jobspool"), "config", "check", "--json", "--spool", spool.path], capture_output=True)
        return done.returncode, done.stdout.decode() + done.stderr.decode()

    def found(file, line, key, expected):
        """One line of `config check` that names file, line and key."""
        done = subprocess.run([program("jobspool"), "config", "check", "--spool", spool.path], capture_output=True, text=True)
        lines = [text for text in (done.stdout + done.stderr).splitlines() if f"{file}:{line}:" in text]
        fits = [text for text in lines if key.split("[")[0] in text and expected in text]
        return done.returncode, fits, done.stdout + done.stderr

    spool.start()
    spool.drop("before", {"type": "echo"})
    spool.wait("before")
    same(problems()[0], 0, "config check of a good configuration")
    for number, (file, text, line, key, expected) in enumerate(MISTAKES):
        spool.configure(text, file)
        code, fits, all_ = found(file, line, key, expected)
        check(code == 78 and fits, f"{file}:{line} {key}: {(fits or [all_.strip()])[0].rsplit('/spool/', 1)[-1]}")
        alert = {"jobspool.toml": "config", "handlers/echo.toml": "handler:echo", "schedules/tick.toml": "schedule:tick"}[file]
        until(lambda: [a for a in spool.alerts() if a == alert or (alert[:8] == "schedule" and a.startswith("schedule"))],
              lambda: f"the alert {alert}: {spool.alerts()}", 20)
        message = next((m for c, m in spool.alerts().items() if c == alert or (alert[:8] == "schedule" and c.startswith("schedule"))), "")
        check(f"{file}:{line}" in message, f"the daemon says where: {message.rsplit('/spool/', 1)[-1]}")
        status = spool.status()
        same(status["max_jobs"], 3, "max_jobs of the running daemon, as before")
        if file != "handlers/echo.toml":
            spool.drop(f"while-{number}", {"type": "echo"})
            spool.wait(f"while-{number}")
        else:
            spool.drop(f"while-{number}", {"type": "other"})
            spool.wait(f"while-{number}")
        check("tick" in status["schedules"] and status["schedules"]["tick"].get("next", "").endswith("-01-01T00:00:00.000Z"),
              "the schedule goes on as it was")
        spool.configure(GOOD[file], file)
        until(lambda: not [a for a in spool.alerts() if a.split(":")[0] in ("config", "handler", "schedule")],
              lambda: f"mended, all is well: {spool.alerts()}", 20)
    # All at once.
    for file, text, *_ in (MISTAKES[1], MISTAKES[7], MISTAKES[10]):
        spool.configure(text, file)
    code, text = problems()
    same(code, 78, "config check with three mistakes")
    check(all(part in text for part in ("max_jobs", "timeot", "cron")), "it shows all three")
    same(spool.process.poll(), None, "the daemon runs on")
    for file, text in GOOD.items():
        spool.configure(text, file)
    until(lambda: not spool.alerts(), lambda: f"all is well: {spool.alerts()}", 20)
    # And the edit that is meant to be taken is.
    spool.configure('max_jobs = 7\nrescan = "1s"\n')
    until(lambda: spool.status().get("max_jobs") == 7, "a good edit is taken", 20)
    reloads = [e for e in spool.audit() if e["event"] == "config_reloaded"]
    check(len(reloads) >= 1, f"{len(reloads)} reloads in the log")
    same(spool.stop(), 0, "exit")
    say(f"{len(MISTAKES)} mistakes, each with its file, line and key; the daemon never stopped")
    spool.verify()
finish()
