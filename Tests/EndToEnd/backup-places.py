#!/usr/bin/env python3
"""Where backups go, and the plain way: `rsync -a` of a paused queue while producers go on; a backup over a real ssh to
a server of our own; as root, a spool of another user with its configuration elsewhere, restored on the spot and apart."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time

import daemon
from daemon import Spool, check, finish, program, same, say, skip, until

if not shutil.which("rsync"):
    skip("rsync is not installed")
scratch = daemon.scratch()
os.chmod(scratch, 0o755)


def run(*words, code=0, env=None):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/", timeout=120,
                          env={**os.environ, "JOBSPOOL_DIR": "", **(env or {})})
    if done.returncode != code:
        check(False, f"{' '.join(words)} ends with {code}: {done.returncode} {done.stdout}{done.stderr}")
    return done


def jobspool(*words, **more):
    return run(program("jobspool"), *words, **more)


def at_rest(path, what):
    same(jobspool("fsck", "--spool", path).returncode, 0, f"{what}: fsck")
    same(jobspool("audit", "verify", "--spool", path).returncode, 0, f"{what}: audit verify")


def places(spool):
    return {name[:-5]: state for state in daemon.STATES for name in os.listdir(spool.at(state)) if name.endswith(".json")}


# The recipe of OPERATING: pause, wait until nothing runs, rsync.
spool = Spool(path=os.path.join(scratch, "plain"), config='max_jobs = 8\nnode = "one"\n')
spool.handler("work", 'echo "$JOBSPOOL_ID" >> "$JOBSPOOL_DIR/ran"; case $JOBSPOOL_ID$JOBSPOOL_ATTEMPT in *[05]1) exit 75 ;; esac; cat',
              'concurrency = 8\ndelays = ["100ms"]\n')
copy = os.path.join(scratch, "copy")
dropped, stop = [], threading.Event()


def produce():
    while not stop.is_set():
        id_ = f"p{len(dropped):05}"
        spool.drop(id_, {"type": "work", "payload": id_})
        dropped.append(id_)
        time.sleep(0.004)


with spool:
    spool.start()
    producer = threading.Thread(target=produce)
    producer.start()
    until(lambda: spool.count("done") > 50, "some are done")
    jobspool("pause", "--spool", spool.path)
    until(lambda: not spool.names("cur"), "nothing runs")
    accepted = list(dropped)
    run("rsync", "-a", "--exclude", "/tmp/*", "--exclude", "/.*", f"{spool.path}/", f"{copy}/")
    meanwhile = len(dropped) - len(accepted)
    stop.set()
    producer.join()
    spool.stop()
restored = Spool(path=copy, config='max_jobs = 8\nnode = "two"\n')
there = places(restored)
lost = [id_ for id_ in accepted if id_ not in there]
check(not lost, f"rsync of a paused queue: all {len(accepted)} jobs accepted before are in the copy {lost[:5] or ''}")
ended = {id_ for id_, state in there.items() if state in ("done", "dead")}
ran = open(restored.at("ran")).read().split() if os.path.exists(restored.at("ran")) else []
at_rest(copy, "the copy")
with restored:
    restored.start()
    jobspool("resume", "--spool", copy)
    until(lambda: not restored.count("new", "cur"), "the copy's queue is empty")
    same(restored.stop(), 0, "the copy's daemon stops in order")
    after = places(restored)
    check(set(after) == set(there) and set(after.values()) == {"done"}, f"all {len(there)} are done, once")
    again = [id_ for id_ in open(restored.at("ran")).read().split()[len(ran):] if id_ in ended]
    check(not again, f"what was done is not run again {again[:5] or ''}")
at_rest(copy, "the copy at its end")
say(f"rsync of a paused queue: {len(there)} jobs, {meanwhile} of them dropped while it copied")

# Over ssh.
sshd = shutil.which("sshd") or "/usr/sbin/sshd"
if os.path.exists(sshd) and shutil.which("ssh-keygen") and os.geteuid() == 0:
    keys = os.path.join(scratch, "ssh")
    os.mkdir(keys, 0o700)
    os.makedirs("/run/sshd", exist_ok=True)
    for name in ("host", "key"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{keys}/{name}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(f"{keys}/config", "w") as file:
        file.write(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {keys}/host\nAuthorizedKeysFile {keys}/key.pub\n"
                   "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\n")
    server = subprocess.Popen([sshd, "-D", "-f", f"{keys}/config", "-E", f"{keys}/log"])
    try:
        def listens():
            with socket.socket() as one:
                return one.connect_ex(("127.0.0.1", port)) == 0
        until(listens, "sshd listens")
        shell = {"RSYNC_RSH": f"ssh -p {port} -i {keys}/key -o BatchMode=yes -o StrictHostKeyChecking=no "
                              f"-o UserKnownHostsFile={keys}/known"}
        vault = f"root@127.0.0.1:{scratch}/vault"
        first = jobspool("backup", vault, "--verify", "--json", "--spool", copy, env=shell)
        same(json.loads(first.stdout or "{}").get("problems"), [], "a backup over ssh, and its trial restore")
        time.sleep(1.1)
        jobspool("backup", vault, "--keep", "1", "--spool", copy, env=shell)
        generations = [name for name in os.listdir(f"{scratch}/vault") if name != "latest"]
        same(len(generations), 1, "--keep 1 over ssh leaves one")
        back = os.path.join(scratch, "back")
        jobspool("restore", vault, "--spool", back, env=shell)
        check(places(Spool(path=back)).keys() == there.keys(), f"{len(there)} jobs restored over ssh")
        at_rest(back, "restored over ssh")
        failed = jobspool("backup", vault, "--spool", copy, code=71, env={"RSYNC_RSH": "ssh -p 1 -o BatchMode=yes"})
        check("ssh" in failed.stderr, f"a server that is not there: {failed.stderr.strip()[:200]}")
        say("over ssh: backup, trial restore, a second generation, restore")
    finally:
        server.terminate()
        server.wait()
else:
    say("no sshd here (or not root): ssh was not tried")

# As the package lays it out: the spool is another user's, the configuration root's and elsewhere.
if os.geteuid() == 0:
    owner = 61234
    theirs = Spool(path=os.path.join(scratch, "theirs"))
    conf = os.path.join(scratch, "etc")
    os.makedirs(f"{conf}/handlers")
    for name in ("handlers", "schedules"):
        shutil.rmtree(theirs.at(name))
    os.unlink(theirs.at("jobspool.toml"))
    with open(f"{conf}/jobspool.toml", "w") as file:
        file.write("max_jobs = 2\n")
    with open(f"{conf}/handlers/echo.toml", "w") as file:
        file.write('command = ["/bin/cat"]\n')
    run("chown", "-R", f"{owner}:{owner}", theirs.path)
    os.chmod(theirs.path, 0o710)
    config = ("--config", f"{conf}/jobspool.toml")
    for id_ in ("a", "b"):
        jobspool("submit", "echo", "--id", id_, "--spool", theirs.path, *config)
    answer = jobspool("backup", f"{scratch}/packaged", "--verify", "--json", "--spool", theirs.path, *config)
    same(json.loads(answer.stdout or "{}").get("problems"), [], "another user's spool: a trial restore")
    for name, more in (("apart", ("--config-dir", f"{scratch}/etc2")), ("together", ())):
        path = os.path.join(scratch, name)
        jobspool("restore", f"{scratch}/packaged", "--spool", path, *more)
        found = os.stat(path)
        same((found.st_uid, found.st_mode & 0o777), (owner, 0o710), f"restored {name}: the spool is its owner's")
        check(os.path.exists(os.path.join(scratch, "etc2" if more else name, "handlers", "echo.toml")),
              f"restored {name}: the handlers are there")
        at_rest(path, f"restored {name}")

finish()
