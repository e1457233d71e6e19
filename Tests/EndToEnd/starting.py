#!/usr/bin/env python3
"""What a start refuses and says, what it takes as it comes, and how the configuration changes while the daemon runs."""

import os
import shutil
import signal
import subprocess
import sys
import time

from daemon import FOLDERS, Spool, check, finish, program, run_once, same, say, scratch, until

# A spool that is none.
code, said = run_once(os.path.join(scratch(), "nowhere"))
same(code, 66, "exit without a spool")
check("jobspool init" in said, f"it says how to make one: {said.strip()}")
spool = Spool("part/spool")
os.rmdir(spool.at("done"))
code, said = run_once(spool.path)
same(code, 66, "exit when a folder is missing")
check("done" in said, f"it names the folder: {said.strip()}")
os.rename(spool.at("new"), spool.at("new-elsewhere"))
os.mkdir(spool.at("done"))
os.symlink("new-elsewhere", spool.at("new"))
code, said = run_once(spool.path)
same(code, 66, "exit when a folder is a link")
check("new" in said, f"it names the folder: {said.strip()}")

# A command that acts on the spool meanwhile is waited for.
HOLD = """
import fcntl, os, struct, sys
lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o640)
fcntl.fcntl(lock, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))  # F_OFD_SETLK
os.write(lock, f"{os.getpid()} {sys.argv[2]} jobspool\\n".encode())
print("held", flush=True)
sys.stdin.read()
"""
spool = Spool("busy/spool")
command = subprocess.Popen([sys.executable, "-c", HOLD, spool.at("lock"), os.uname().nodename], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, text=True)
command.stdout.readline()
spool.start(ready=False)
until(lambda: f"waiting for jobspool, pid {command.pid}".encode() in spool.said(),
      "the daemon says that it waits for the command that holds the lock")
check(spool.process.poll() is None and not spool.status(), "and waits")
command.stdin.close()
command.wait()
until(lambda: b"runs on" in spool.said(), "it starts when the command is done")
same(spool.stop(), 0, "exit")

# Folders on different file systems.
if os.geteuid() == 0:
    spool = Spool("split/spool")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", spool.at("done")]).returncode == 0:
        try:
            code, said = run_once(spool.path)
            same(code, 78, "exit with done/ on another file system")
            check("file system" in said and "done" in said, f"it says so: {said.strip()}")
        finally:
            subprocess.run(["umount", spool.at("done")], check=True)
    else:
        print("no tmpfs may be mounted here: the spool on two file systems was not tried")

# A configuration that does not load.
spool = Spool("badconfig/spool", config='max_jobs = 4\nmax_jbos = 5\ndrain = "soon"\n')
code, said = run_once(spool.path)
same(code, 78, "exit with a bad jobspool.toml")
check("jobspool.toml:2" in said and "max_jbos" in said and "jobspool.toml:3" in said, f"file, line, key: {said.strip()}")

with Spool("main/spool", config='max_jobs = 4\n[web]\nlisten = "127.0.0.1:7733"\n') as spool:
    spool.handler("echo", "cat", "concurrency = 2")
    spool.configure('command = ["/bin/true"\n', "handlers/syntax.toml")
    spool.configure('command = ["/bin/true"]\nconcurency = 2\n', "handlers/typo.toml")
    spool.configure('command = ["/nowhere/program"]\n', "handlers/missing.toml")
    spool.handler("plain", "cat")
    os.chmod(spool.at("handlers", "bin", "plain"), 0o644)
    for type_ in ("syntax", "typo", "missing", "plain", "echo"):
        spool.drop(f"first-{type_}", {"type": type_})
    spool.start()
    spool.wait("first-echo")
    for type_ in ("syntax", "typo", "missing", "plain"):
        message = spool.alerted(f"handler:{type_}")
        check(type_ in message, f"alert: {message}")
        same(spool.states(f"first-{type_}"), ["new"], f"a job of the type {type_} waits in")
        until(lambda: spool.type(type_).get("broken"), f"status.json calls {type_} broken")
    check("concurency" in spool.alerts()["handler:typo"], "it names the key")
    check("typo.toml:2" in spool.alerts()["handler:typo"], "it names file and line")

    # Two daemons.
    code, said = run_once(spool.path)
    same(code, 75, "exit of a second daemon")
    check(f"pid {spool.process.pid}" in said, f"it names the first: {said.strip()}")
    spool.drop("still", {"type": "echo"})
    spool.wait("still")

    # A good edit counts within a second, a bad one is said and changes nothing.
    def edit(name, text, condition, what):
        began = time.monotonic()
        spool.configure(text, name)
        until(condition, what)
        took = time.monotonic() - began
        check(took < 1, f"{what}, after {took * 1000:.0f} ms")

    edit("jobspool.toml", "max_jobs = 7\n", lambda: spool.status().get("max_jobs") == 7, "max_jobs is 7")
    edit("jobspool.toml", "max_jobs = oops\n", lambda: "config" in spool.alerts(), "a bad edit is an alert")
    check("Failure(" not in spool.alerts().get("config", ""), "in words for people")
    check("jobspool.toml:1" in spool.alerts().get("config", ""), f"with its place: {spool.alerts().get('config')}")
    same(spool.status()["max_jobs"], 7, "max_jobs after the bad edit")
    spool.drop("with-old", {"type": "echo"})
    spool.wait("with-old")
    edit("jobspool.toml", "max_jobs = 5\n",
         lambda: "config" not in spool.alerts() and spool.status().get("max_jobs") == 5, "a mended one clears it")
    edit("handlers/syntax.toml", 'command = ["/bin/true"]\n',
         lambda: spool.states("first-syntax") == ["done"], "a mended handler file lets its jobs run")
    edit("handlers/echo.toml", 'command = ["/bin/cat"\n',
         lambda: "handler:echo" in spool.alerts(), "a handler file broken by an edit is an alert")
    spool.drop("while-broken", {"type": "echo"})
    time.sleep(0.3)
    same(spool.states("while-broken"), ["new"], "a job of a type broken meanwhile waits in")
    edit("handlers/echo.toml", 'command = ["/bin/cat"]\n',
         lambda: spool.states("while-broken") == ["done"], "and runs when it is mended")
    os.unlink(spool.at("handlers", "echo.toml"))
    time.sleep(0.5)  # The event, and the wait for the rest of an edit; nothing tells from outside that it is over.
    spool.drop("without", {"type": "echo"})
    same(spool.wait("without", "dead").get("error", {}).get("code"), "unknown_type", "a type whose handler file went")

    # The editor that writes in place, slowly.
    with open(spool.at("jobspool.toml"), "w") as file:
        file.write("max_")
        file.flush()
        time.sleep(0.1)
        file.write("jobs = 9\n")
    until(lambda: spool.status().get("max_jobs") == 9 and "config" not in spool.alerts(), "an edit in two writes counts")

    # SIGHUP, where no event told: a file that is no edit of this folder.
    before = len([e for e in spool.audit() if e["event"] == "config_reloaded"])
    spool.process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    check(spool.process.poll() is None, "SIGHUP does not end the daemon")
    same(len([e for e in spool.audit() if e["event"] == "config_reloaded"]), before, "reloads of what has not changed")

    # The program of a broken type appears: its jobs run without anybody's doing.
    os.chmod(spool.at("handlers", "bin", "plain"), 0o755)
    spool.configure('max_jobs = 9\nrescan = "1s"\n')
    spool.wait("first-plain")
    until(lambda: "handler:plain" not in spool.alerts(), "its alert is gone")
    same(spool.wait("first-plain")["attempt"], 1, "attempts of a job whose program was not executable")

    same(spool.stop(), 0, "exit")
    spool.verify()

    # A web program that is wanted and missing, and a daemon without its watcher: alerts, and jobs run.
    alone = os.path.join(scratch(), "bin")
    os.mkdir(alone)
    shutil.copy(program("jobspoold"), alone)
    spool.configure('rescan = "1s"\n[web]\nlisten = "127.0.0.1:7733"\n')
    spool.configure('command = ["/bin/cat"]\n', "handlers/echo.toml")
    spool.start("--max-nothing", ready=False)
    same(spool.process.wait(10), 64, "exit for an unknown option")
    spool.start("--config", spool.at("jobspool.toml"), binary=os.path.join(alone, "jobspoold"))
    check("7733" in spool.alerted("web"), f"no web program: {spool.alerts().get('web')}")
    spool.drop("polled", {"type": "echo"})
    spool.wait("polled")
    check(b"jobspool-watch" in spool.said(), "it says that it polls")
    same(spool.stop(), 0, "exit")

    # A torn end of the audit log.
    log = [name for name in os.listdir(spool.at("log")) if name.startswith("audit-")][-1]
    with open(spool.at("log", log), "rb") as file:
        whole = file.read()
    tears = {"half a line": b'{"ts":"2026-01-01T00:00:00.000Z","seq":', "zeros": b"\0" * 300, "a newline": b"\n",
             "a line that is no JSON": b"#### not a line ####\n"}
    for what, tear in tears.items():
        with open(spool.at("log", log), "ab") as file:
            file.write(tear)
        spool.start()
        check("audit_repaired" in spool.alerts() or until(lambda: "audit_repaired" in spool.alerts(), "the alert"),
              f"{what}: {spool.alerts().get('audit_repaired')}")
        spool.stop()
        events = spool.verify()
        check(any(e["event"] == "alert" and e["code"] == "audit_repaired" for e in events[-8:]), f"{what}: in the log too")
    with open(spool.at("log", log), "rb") as file:
        check(file.read().startswith(whole), "no whole line was lost")

    # The log's folder full of other things does not confuse it.
    for name in ("audit-.jsonl", "audit-x-2026-99-99.jsonl", "audit-evil-2099-01-01.jsonl", "notes.txt"):
        with open(spool.at("log", name), "w") as file:
            file.write("what is this?\n")
    spool.configure('command = ["/bin/cat"]\n', "handlers/echo.toml")
    spool.start()
    spool.drop("after-all", {"type": "echo"})
    spool.wait("after-all")
    same(spool.stop(), 0, "exit")
finish()
