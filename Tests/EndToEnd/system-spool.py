#!/usr/bin/env python3
"""A spool with the permissions of the Debian package: what producers, others and operators may, as root, who can be all
of them. The whole package is tried by packaging/test-deb; this is the part that the daemon and the command line do."""
import json
import os
import subprocess

from daemon import check, finish, same, until
from people import ANNA, BERT, CARL, DAEMON, PRODUCERS, Shared, needed, words

needed()
spool = Shared()
programs = spool.programs
spool.handler("echo", "cat; echo a secret >&2")
spool.handler("capable", "grep CapEff /proc/self/status | cut -f2", "")
spool.handler("slow", "sleep 1; echo 1")
spool.open_up()


def run(uid, *command, groups=(PRODUCERS,)):
    env = {"PATH": f"{programs}:/usr/bin:/bin", "JOBSPOOL_DIR": spool.path, "LC_ALL": "C.UTF-8"}
    return subprocess.run(words(uid, groups, *command), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60, cwd="/")


def may(uid, *command, **more):
    done = run(uid, *command, **more)
    check(done.returncode == 0, f"{uid} may: {' '.join(command)[:90]} {done.stderr.strip() if done.returncode else ''}")
    return done.stdout


def may_not(uid, *command, code=None, **more):
    done = run(uid, *command, **more)
    good = done.returncode != 0 and (code is None or done.returncode == code)
    check(good, f"{uid} may not: {' '.join(command)[:90]}" + ("" if good else f" ({done.returncode}, {done.stdout})"))
    return done


with spool:
    spool.begin()

    result = may(ANNA, "jobspool", "submit", "echo", "--payload", '"of anna"', "--id", "anna-1", "--wait")
    check("of anna" in result, "she sees her result")
    check("of anna" in may(ANNA, "jobspool", "show", "anna-1"), "she sees her job")
    check("a secret" in may(ANNA, "jobspool", "log", "anna-1"), "she sees her log")
    for reader in (["jobspool", "show", "anna-1"], ["jobspool", "log", "anna-1"], ["cat", spool.at("done/anna-1.json")],
                   ["cat", spool.at("log/jobs/anna-1.log")], ["ls", spool.at("new")], ["ls", spool.at("done")],
                   ["cat", spool.at("status.json")], ["cat", spool.at("lock")], ["jobspool", "ls"]):
        done = may_not(BERT, *reader)
        check("anna" not in done.stdout and "secret" not in done.stdout, "and sees nothing of it")
    may_not(CARL, "jobspool", "submit", "echo", groups=(), code=77)

    # Python's NamedTemporaryFile and mkstemp(3) make 0600.
    job = spool.at("tmp", "mk")
    may(ANNA, "sh", "-c", f"umask 077; echo '{{\"type\":\"capable\"}}' > {job} && mv -n {job} {spool.at('new/caps-1.json')}")
    record = spool.wait("caps-1")
    same(record.get("submitted_by", {}).get("uid"), ANNA, "a file of mode 0600 runs, and is hers")
    same(int(record.get("result") or "1", 16), 0, "its handler has no capability")

    may(ANNA, "jobspool", "submit", "echo", "--delay", "1h", "--id", "anna-2")
    for touch in ("mv {} " + spool.at("tmp/x"), "rm -f {}", "echo x >> {}", "cat {}", "ln {} " + spool.at("tmp/y")):
        may_not(BERT, "sh", "-c", touch.format(spool.at("new/anna-2.json")))
    may_not(BERT, "jobspool", "cancel", "anna-2", code=77)
    may_not(BERT, "jobspool", "requeue", "anna-1", code=77)
    may(ANNA, "jobspool", "cancel", "anna-2")
    same(spool.wait("anna-2", "dead").get("outcome"), "cancelled", "she cancels her own")
    check("cancelled" in may(ANNA, "jobspool", "show", "anna-2"), "and reads it in dead/")
    for folder in ("cur", "done", "dead", "hold", "log", "log/jobs", "secret", "."):
        may_not(BERT, "sh", "-c", f"echo x > {spool.at(folder, 'bert.json')}")

    # What was refused may be read by whose it was, too.
    may(ANNA, "sh", "-c", f"echo nonsense > {job} && mv -n {job} {spool.at('new/bad-1.json')}")
    spool.wait("bad-1", "dead")
    check("dead" in may(ANNA, "jobspool", "show", "bad-1"), "why hers was rejected")
    may_not(BERT, "jobspool", "show", "bad-1", code=77)

    # An accepted job is a copy: neither an open descriptor nor a second name reaches it.
    done = may(ANNA, "python3", "-c", f"""
import json, os, time
os.chdir({spool.path!r})
text = json.dumps({{"type": "slow", "payload": 1}}).encode()
fd = os.open("tmp/open", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640); os.write(fd, text); os.rename("tmp/open", "new/open-1.json")
second = os.open("tmp/link", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640); os.write(second, text); os.link("tmp/link", "new/link-1.json")
names = ("open-1", "link-1"); end = time.time() + 30
def seen(folder): return all(os.path.exists(f"{{folder}}/{{n}}.json") for n in names)
def spoil():
    for one in (fd, second): os.ftruncate(one, 0); os.pwrite(one, b'{{"type":"echo","payload":"changed"}}', 0)
while not os.path.exists("cur/open-1.json") and time.time() < end: time.sleep(0.005)
time.sleep(0.2); spoil() if os.path.exists("cur/open-1.json") else None
while not os.path.exists("done/open-1.json") and time.time() < end: time.sleep(0.01)
print("waited")
""")
    check("waited" in done, "it ran")
    same(spool.wait("open-1").get("outcome"), "done", "the job of an open descriptor ends as it was accepted")
    same((spool.job("done", "open-1")["type"], spool.job("done", "open-1")["payload"]), ("slow", 1), "and says what it said")
    uids = {os.stat(spool.at("done", name)).st_uid for name in spool.names("done")}
    same(uids, {DAEMON}, "what is in done/ belongs to the daemon")

    # Pipes where the daemon writes.
    may(BERT, "sh", "-c", f"mkfifo {spool.at('ctl/.trap.reply')}; echo '{{\"do\":\"reload\"}}' > {spool.at('ctl/.t')}; "
        f"mv {spool.at('ctl/.t')} {spool.at('ctl/trap.json')}")
    until(lambda: os.path.exists(spool.at("ctl", "trap.reply")), "an answer beside a pipe")
    may(ANNA, "jobspool", "submit", "echo", "--wait")
    may(BERT, "touch", spool.at("ctl", "pause"))
    until(lambda: not os.path.exists(spool.at("ctl", "pause")), "a producer's pause to go")
    check(any(event["event"] == "refused" for event in spool.audit()), "which the audit log tells")

    same(spool.stop(), 0, "it ends in order")
    may_not(BERT, "sh", "-c", f"exec 3< {spool.at('lock')}")
    spool.begin()
    spool.stop()
    spool.verify()

finish()
