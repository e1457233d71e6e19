#!/usr/bin/env python3
"""Breaks what `jobspool doctor` looks at, one thing at a time, and sees that it names just that, with a remedy, and that
it is content again once the thing is mended. As root also what takes mounts, other users and another host's name."""

import ctypes
import glob
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import daemon
from daemon import Spool, check, finish, program, same, say, until

IS_ROOT = os.geteuid() == 0
if IS_ROOT and "DOCTOR_ALONE" not in os.environ:
    # Mounts made here are nobody else's, and go with this process.
    apart = ["unshare", "-m", "--propagation", "private"]
    if shutil.which("unshare") and subprocess.run([*apart, "true"], stderr=subprocess.DEVNULL).returncode == 0:
        os.execvpe("unshare", [*apart, sys.executable, *sys.argv], {**os.environ, "DOCTOR_ALONE": "1"})
CAN_MOUNT = "DOCTOR_ALONE" in os.environ
FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
OTHER = 61234

scratch = daemon.scratch()
os.chmod(scratch, 0o755)
tried = []


def doctor(path, env=None, prefix=(), binary=None):
    done = subprocess.run(
        [*prefix, binary or program("jobspool"), "doctor", "--json", "--spool", path], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, cwd="/", env={**os.environ, **(env or {})}, timeout=60)
    try:
        checks = json.loads(done.stdout)["checks"]
    except (ValueError, KeyError):
        return done.returncode, [{"check": "none", "level": "none", "message": done.stdout + done.stderr}]
    return done.returncode, checks


def sight(checks, name, level, words):
    return [one for one in checks if one["check"] == name and one["level"] == level and words in one["message"]]


def broken(what, spool, name, level, words, remedy, breaks, mends, **how):
    """It is not said before, is said with its remedy while it is so, and not afterwards."""
    path = spool if isinstance(spool, str) else spool.path
    before = doctor(path, **{key: value for key, value in how.items() if key == "binary"})[1] if breaks else []
    if breaks:
        breaks()
    code, checks = doctor(path, **how)
    found = sight(checks, name, level, words)
    text = f"{what}: {name}, {level}: "
    if not check(found, text + (found[0]["message"] if found else f"not said: {checks}")):
        return mends() if mends else None
    check(remedy in found[0].get("remedy", ""), f"{what}: remedy: {found[0].get('remedy')}")
    same(code, 1 if any(one["level"] == "bad" for one in checks) else 0, f"{what}: exit code")
    check(level != "bad" or code == 1, f"{what}: what is bad shows in the exit code")
    check(not sight(before, name, level, words), f"{what}: not said before")
    if mends:
        mends()
        check(not sight(doctor(path)[1], name, level, words), f"{what}: not said after it is mended")
    tried.append(what)


def mode(path, value):
    return lambda: os.chmod(path, value)


def write(path, text):
    def done():
        with open(path, "w") as file:
            file.write(text)
    return done


def move(one, other):
    return lambda: os.rename(one, other)


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def faked(shift):
    return {"env": {"LD_PRELOAD": FAKETIME[0], "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                    "NO_FAKE_STAT": "1"}, "prefix": ("/usr/bin/env",)}


spool = Spool(path=os.path.join(scratch, "spool"))
os.makedirs(spool.at("secret"), mode=0o700, exist_ok=True)
at = spool.at
spool.handler("echo", "cat")
code, checks = doctor(spool.path)
check(code == 0 and not any(one["level"] == "bad" for one in checks), f"a sound spool has nothing bad: {checks}")
check(all(one.get("remedy") for one in checks if one["level"] != "ok"), "each warning has a remedy")

# Permissions
was = {name: os.stat(at(name)).st_mode & 0o7777 for name in ("done", "new", "handlers/echo.toml")}
broken("a folder open to all", spool, "permissions", "bad", "everybody may write", f"chmod o-w {at('done')}",
       mode(at("done"), 0o777), mode(at("done"), was["done"]))
broken("no sticky bit", spool, "permissions", "bad", "remove each other's files", f"chmod +t {at('new')}",
       mode(at("new"), 0o770), mode(at("new"), was["new"]))
broken("a handler file open to all", spool, "configuration", "bad", "everybody may write", "chmod o-w",
       mode(at("handlers/echo.toml"), 0o666), mode(at("handlers/echo.toml"), was["handlers/echo.toml"]))
if IS_ROOT:
    broken("a folder of another user", spool, "permissions", "bad", "belong to several users", "chown",
           lambda: os.chown(at("cur"), OTHER, OTHER), lambda: os.chown(at("cur"), 0, 0))

# Configuration, handlers and their programs
broken("a mistake in jobspool.toml", spool, "configuration", "bad", "jobspool.toml:1: max_jobs", "CONFIGURATION",
       write(at("jobspool.toml"), 'max_jobs = "x"\n'), write(at("jobspool.toml"), ""))
broken("a handler file that does not load", spool, "configuration", "bad", "mail.toml:1", "CONFIGURATION",
       write(at("handlers/mail.toml"), "comand = 1\n"), lambda: os.unlink(at("handlers/mail.toml")))
broken("no handlers", spool, "handlers", "warn", "there are none", "TYPE.toml",
       move(at("handlers/echo.toml"), at("echo")), move(at("echo"), at("handlers/echo.toml")))
broken("a handler's program that is missing", spool, "handlers", "bad", "does not exist", "install it",
       move(at("handlers/bin/echo"), at("echo")), move(at("echo"), at("handlers/bin/echo")))
broken("a handler's program that is not executable", spool, "handlers", "bad", "chmod +x", "correct command",
       mode(at("handlers/bin/echo"), 0o644), mode(at("handlers/bin/echo"), 0o755))
broken("a program that jobspool calls is missing", spool, "programs", "warn", "rsync is not installed",
       "apt-get install rsync", None, None, env={"PATH": "/nonexistent"})
hook = '[[notify]]\non = ["dead"]\nwebhook = "https://hooks.example/x"\n'
broken("a webhook's secret that all may read", spool, "secrets", "warn", "everybody may read it", "chmod o-r",
       lambda: (write(at("jobspool.toml"), hook)(), os.chmod(at("jobspool.toml"), 0o644)),
       mode(at("jobspool.toml"), 0o640))
write(at("jobspool.toml"), "")()

# Keys
write(at("secret/web.key"), "00" * 32 + "\n")()
os.chmod(at("secret/web.key"), 0o640)
broken("a key that all may read", spool, "secrets", "bad", "lets others in", f"chmod 640 {at('secret/web.key')}",
       mode(at("secret/web.key"), 0o644), mode(at("secret/web.key"), 0o640))
sealing = 'command = ["/bin/cat"]\nencrypt = ["/payload/p"]\n'
broken("the key of sealed fields is missing", spool, "secrets", "bad", "is missing", "restore it from a backup",
       lambda: (write(at("handlers/login.toml"), sealing)(), write(at("data.pub"), "x")()),
       lambda: (os.unlink(at("handlers/login.toml")), os.unlink(at("data.pub"))))

# The disk
broken("less free than min_free", spool, "disk", "bad", "below min_free", "free some space",
       write(at("jobspool.toml"), 'min_free = "1024T"\n'), write(at("jobspool.toml"), ""))
if CAN_MOUNT:
    small = os.path.join(scratch, "small")
    os.mkdir(small)
    mount("-t", "tmpfs", "-o", "size=16M", "tmpfs", small)
    full = Spool(path=f"{small}/spool", config='min_free = "4M"')
    full.handler("echo", "cat")
    broken("a spool in memory", full, "file system", "warn", "in memory", "on a disk", None, None)
    broken("a full disk", full, "disk", "bad", "below min_free", "free some space",
           write(f"{small}/filling", "x" * (13 << 20)), lambda: os.unlink(f"{small}/filling"))
    broken("a disk mounted read-only", full, "file system", "bad", "read-only", "remount,rw",
           lambda: mount("-o", "remount,ro", small), lambda: mount("-o", "remount,rw", small))
    broken("programs on a noexec file system", full, "handlers", "bad", "noexec", "install it",
           lambda: mount("-o", "remount,noexec", small), lambda: mount("-o", "remount,exec", small))
    subprocess.run(["umount", small], check=True)

# Wake-ups
alone = os.path.join(scratch, "alone")
os.mkdir(alone)
shutil.copy(program("jobspool"), alone)
if not os.path.exists("/usr/lib/jobspool/jobspool-watch"):
    broken("jobspool-watch is missing", spool, "wake-ups", "bad", "jobspool-watch", "found by looking", None, None,
           binary=f"{alone}/jobspool")
with open("/proc/sys/fs/inotify/max_user_instances") as file:
    instances = int(file.read())
if IS_ROOT and instances <= 2000:
    theirs = Spool(path=os.path.join(scratch, "theirs"))
    theirs.handler("echo", "cat")
    subprocess.run(["chown", "-R", f"{OTHER}:{OTHER}", theirs.path], check=True)
    # Where another user may start them; the checkout may be nobody else's.
    shutil.copy(program("jobspool-watch"), alone)
    prefix = ("setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups")
    same(sight(doctor(theirs.path, prefix=prefix, binary=f"{alone}/jobspool")[1], "wake-ups", "ok", "works") != [], True,
         "wake-ups of another user work")
    ready, told = os.pipe()
    holder = os.fork()
    if holder == 0:
        resource.setrlimit(resource.RLIMIT_NOFILE, (instances + 100, instances + 100))
        os.setresuid(OTHER, OTHER, OTHER)
        libc = ctypes.CDLL(None)
        while libc.inotify_init() >= 0:
            pass
        os.write(told, b"x")
        signal.pause()
        os._exit(0)
    os.read(ready, 1)
    broken("no inotify instance left", theirs, "wake-ups", "bad", "inotify", "max_user_instances", None, None,
           prefix=prefix, binary=f"{alone}/jobspool")
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)

# The daemon
with spool:
    write(at("jobspool.toml"), '[web]\nlisten = "127.0.0.1:1"\n')()
    broken("no daemon", spool, "daemon", "warn", "none runs", "jobspoold --spool", None, None)
    spool.start()
    check(sight(doctor(spool.path)[1], "daemon", "ok", f"pid {spool.process.pid}"), "it sees the daemon that runs")
    if shutil.which("jobspool-web") or os.access(os.path.join(os.path.dirname(program("jobspool")), "jobspool-web"), os.X_OK):
        broken("nothing listens", spool, "web", "warn", "nothing listens", "jobspool-web", None, None)
    if CAN_MOUNT:
        broken("a daemon of another machine", spool, "daemon", "bad", "runs on another machine", "one spool, one machine",
               None, None, prefix=("unshare", "-u", "sh", "-c", 'echo elsewhere > /proc/sys/kernel/hostname; exec "$@"', "sh"))
    spool.drop("j1", {"type": "echo"})
    spool.wait("j1")
    os.chmod(at("handlers/bin/echo"), 0o644)
    spool.drop("j2", {"type": "echo"})
    until(lambda: spool.alerts(), "an alert")
    broken("what the daemon itself complains of", spool, "alert", "warn", "echo", "OPERATING", None, None)
    os.chmod(at("handlers/bin/echo"), 0o755)
    spool.stop()

# Time
if FAKETIME:
    broken("a clock that is behind", spool, "clock", "bad", "behind the newest line", "set the clock", None, None,
           **faked("-1d"))
    write(at("tmp/forgotten.json"), "{}")()
    broken("forgotten files in tmp", spool, "staging", "warn", "older than 36 h", "fsck --repair", None, None,
           **faked("+3d"))
    os.unlink(at("tmp/forgotten.json"))

# The log, last: it stays damaged.
log = glob.glob(at("log/audit-*.jsonl"))[0]
with open(log, "r+b") as file:
    file.seek(60)
    byte = file.read(1)
    file.seek(60)
    file.write(bytes([byte[0] ^ 1]))
broken("a changed line of the log", spool, "log", "bad", "was changed", "restore a copy", None, None)

say(f"{len(tried)} things broken, each named with its remedy")
finish()
