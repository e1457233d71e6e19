#!/usr/bin/env python3
"""The web program as a system user of its own, with the permissions of the Debian package and nothing more: everything the API
promises works, and nothing else in the spool can be touched with what that user may. Needs root, to be several users."""

import atexit
import os
import shutil
import socket
import subprocess

from daemon import check, finish, program, same, scratch, skip, until
from people import BERT, become, end_of, lay_out, needed
from web import KEY, Web, token

needed("unshare")

DAEMON, WEB, PRODUCERS, OPERATORS = 60111, 60112, 60211, 60212
os.chmod(scratch(), 0o755)
programs = os.path.join(scratch(), "bin")
os.makedirs(programs)
for name in ("jobspoold", "jobspool", "jobspool-watch", "jobspool-web"):
    shutil.copy(program(name), programs)
    os.chmod(os.path.join(programs, name), 0o755)

# The daemon believes the user `jobspool-web` on whose behalf it acts, so there has to be one: in a view of /etc of our own.
names = {}
for file, lines in (("passwd", [f"jobspool:x:{DAEMON}:{PRODUCERS}::/:/bin/false", f"jobspool-web:x:{WEB}:{WEB}::/:/bin/false"]),
                    ("group", [f"jobspool:x:{PRODUCERS}:", f"jobspool-admin:x:{OPERATORS}:", f"jobspool-web:x:{WEB}:"])):
    names[file] = os.path.join(scratch(), file)
    with open(f"/etc/{file}") as old, open(names[file], "w") as new:
        new.write("".join(line for line in old if not line.startswith("jobspool")) + "\n".join(lines) + "\n")
    os.chmod(names[file], 0o644)
VIEW = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
        "".join(f"mount --bind {path} /etc/{file} && " for file, path in names.items()) + 'exec "$0" "$@"']
if subprocess.run([*VIEW, "true"], stderr=subprocess.DEVNULL).returncode != 0:
    skip("a view of /etc of our own cannot be made here")

spool = Web("spool", config="max_jobs = 2")
shutil.rmtree(spool.at("secret"))
spool.handler("echo", "cat; echo said >&2", "concurrency = 2")
spool.handler("fail", "echo no >&2; exit 65")
spool.handler("slow", "sleep 60")
spool.configure('cron = "0 0 1 1 *"\ntype = "echo"', "schedules/yearly.toml")
for path in (spool.at("handlers"), spool.at("handlers", "bin"), spool.at("schedules")):
    os.chmod(path, 0o755)


# Twice: an upgrade does it again.
for _ in range(2):
    lay_out(spool, DAEMON, PRODUCERS, OPERATORS, WEB)
# What systemd gives it: a copy of the key, and a folder of its own.
credentials, state = os.path.join(scratch(), "credentials"), os.path.join(scratch(), "state")
for folder in (credentials, state):
    os.mkdir(folder, 0o700)
    os.chown(folder, WEB, WEB)
with open(os.path.join(credentials, "web.key"), "w") as file:
    file.write(KEY.hex() + "\n")
os.chown(file.name, WEB, WEB)
os.chmod(file.name, 0o400)
socket_path = os.path.join(scratch(), "run", "web.sock")
os.mkdir(os.path.dirname(socket_path))
os.chown(os.path.dirname(socket_path), WEB, WEB)


def as_web(*command):
    return ["setpriv", f"--reuid={WEB}", f"--regid={WEB}", f"--groups={WEB}", "--inh-caps=-all", "--bounding-set=-all", "--",
            *command]


def start_web(listen):
    mark = os.path.getsize(spool.log)
    web = subprocess.Popen(
        [*VIEW, *as_web(os.path.join(programs, "jobspool-web"), "--spool", spool.path, "--listen", listen)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(spool.log, "ab"), cwd="/",
        env={**os.environ, "CREDENTIALS_DIRECTORY": credentials, "STATE_DIRECTORY": state})
    # Also when the script breaks off.
    atexit.register(web.kill)
    until(lambda: b"jobspool-web serves" in spool.said(mark) or web.poll() is not None,
          lambda: f"the web program serves: {spool.said(mark).decode()[-1000:]}")
    return web, mark


with spool:
    spool.configure("max_jobs = 2\n")
    os.chmod(spool.at("jobspool.toml"), 0o644)
    spool.start(
        "--no-web", binary=os.path.join(programs, "jobspoold"),
        prefix=[*VIEW, "setpriv", f"--reuid={DAEMON}", f"--regid={OPERATORS}", f"--groups={OPERATORS}",
                "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search",
                "--bounding-set=-all,+dac_read_search", "--"])
    web, mark = start_web("127.0.0.1:0")
    spool.find(mark)
    with open(f"/proc/{web.pid}/status") as file:
        status = dict(line.split(":\t", 1) for line in file if ":\t" in line)
    same((status["Uid"].split()[1], status["CapEff"].strip()), (str(WEB), "0" * 16), "it is nobody but itself, without capabilities")

    # Everything works.
    made = spool.post("/v1/jobs", {"type": "echo", "payload": {"n": 1}, "tags": ["a"]})
    same(made.status, 202, f"a job is accepted {made.body[:300]!r}")
    one = made.json["id"]
    record = until(lambda: os.path.exists(spool.at("done", f"{one}.json")) and spool.record("done", one), "it is done")
    same(record["submitted_by"], {"uid": WEB, "user": "jobspool-web", "subject": "anna"}, "for whom")
    many = spool.post("/v1/jobs", [{"type": "echo"}, {"type": "echo"}])
    same(many.json["accepted"], 2, "two at once")
    until(lambda: spool.get("/v1/jobs?state=done").json.get("total") == 3, "three are done")
    same(spool.get(f"/v1/jobs/{one}").json["payload"], {"n": 1}, "details")
    same(spool.get(f"/v1/jobs/{one}/result").json["payload"], {"n": 1}, "result")
    check(b"said\n" in spool.get(f"/v1/jobs/{one}/log").body, "log")
    same([line["event"] for line in spool.get(f"/v1/jobs/{one}/audit").json["lines"]], ["submitted", "claimed", "finished"], "audit")
    for path in ("/v1/queue", "/v1/stats", "/v1/dead", "/v1/types", "/v1/schedules", "/v1/system", "/metrics", "/readyz",
                 f"/v1/jobs/{one}/file", f"/v1/jobs/{one}/why", "/v1/schedules/yearly/runs"):
        same(spool.get(path).status, 200, path)
    # What somebody else drops is his file, of which the daemon makes a copy of its own.
    if not (pid := os.fork()):
        become(BERT, (PRODUCERS,))
        spool.drop("dropped", {"type": "echo", "payload": {"n": 2}})
        os._exit(0)
    same(end_of(pid), 0, "bert drops a file")
    until(lambda: os.path.exists(spool.at("done", "dropped.json")), "it is done")
    same(spool.get("/v1/jobs/dropped").json.get("payload"), {"n": 2}, "details of somebody else's job")
    same(spool.get("/v1/jobs/dropped/result").json.get("payload"), {"n": 2}, "its result")
    same(spool.get("/v1/jobs/dropped/file").status, 200, "its file")

    bad = spool.post("/v1/jobs", {"type": "fail"}).json["id"]
    until(lambda: spool.get(f"/v1/jobs/{bad}").json.get("state") == "dead", "a dead one")
    same(spool.post(f"/v1/jobs/{bad}/requeue").status, 200, "requeue")
    until(lambda: len(spool.events(bad, "buried")) == 2, "it failed again")
    check(spool.events(bad, "requeued")[0]["by"].startswith("anna through jobspool-web"), f"by whom: {spool.events(bad, 'requeued')[0]['by']}")
    running = spool.post("/v1/jobs", {"type": "slow"}).json["id"]
    until(lambda: spool.get(f"/v1/jobs/{running}").json.get("state") == "cur", "a running one")
    same(spool.post(f"/v1/jobs/{running}/cancel").json["state"], "dead", "cancel")
    late = spool.post("/v1/jobs", {"type": "echo", "delay": "1h"}).json["id"]
    until(lambda: spool.events(late, "submitted"), "a waiting one")
    same(spool.get(f"/v1/jobs/{late}").json["phase"], "scheduled", "waits for its time")
    same(spool.post(f"/v1/jobs/{late}/hold").json["state"], "hold", "hold")
    same(spool.call("PUT", f"/v1/jobs/{late}", {"type": "echo", "payload": 2}).status, 200, "edit")
    same(spool.post(f"/v1/jobs/{late}/release").json["state"], "new", "release")
    same(spool.post("/v1/types/echo/pause").status, 200, "pause")
    same(spool.post("/v1/types/echo/resume").status, 200, "resume")
    same(spool.post("/v1/schedules/yearly/run?wait=30s").json.get("state"), "done", "run a schedule")
    same(spool.post("/v1/schedules/yearly/disable").status, 200, "disable it")
    same(spool.post("/v1/schedules/yearly/enable").status, 200, "enable it")
    same(spool.call("DELETE", f"/v1/jobs/{one}").status, 204, "delete")
    check(not os.path.exists(spool.at("done", f"{one}.json")), "it is gone")

    # What that user may not, were the program in somebody else's hands.
    def may_not(what, script):
        done = subprocess.run(as_web("sh", "-c", script), capture_output=True, text=True, timeout=30, cwd="/")
        check(done.returncode != 0, f"it may not {what}" + ("" if done.returncode else f": {done.stdout[:200]}"))

    two = many.json["jobs"][0]["id"]
    may_not("change an end", f"echo x > {spool.at('done', two + '.json')}")
    may_not("remove an end", f"rm -f {spool.at('done', two + '.json')}")
    may_not("make an end", f"echo x > {spool.at('done', 'forged.json')}")
    may_not("take a job that waits for another", f"mv {spool.at('new', late + '.json')} {spool.at('cur', late + '.json')}")
    may_not("write the log", f"echo x >> {spool.at('log')}/audit-*.jsonl")
    may_not("remove the log", f"rm -f {spool.at('log')}/audit-*.jsonl")
    may_not("see what is secret", f"ls {spool.at('secret')}")
    may_not("change a handler", f"echo x >> {spool.at('handlers', 'echo.toml')}")
    may_not("change the configuration", f"echo x >> {spool.at('jobspool.toml')}")
    may_not("take the lock", f"python3 -c \"import fcntl; fcntl.lockf(open('{spool.at('lock')}', 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)\"")
    may_not("end the daemon", f"kill {spool.process.pid}")
    web.terminate()
    same(web.wait(20), 0, "it stops in order")

    # A socket file: who may connect is a matter of its permissions.
    web, mark = start_web(f"unix:{socket_path}")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(socket_path)
        connection.sendall(b"GET /v1/me HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer " + token().encode() + b"\r\n\r\n")
        answer = b""
        while data := connection.recv(4096):
            answer += data
        check(answer.startswith(b"HTTP/1.1 200") and b'"anna"' in answer, f"it answers on a socket file: {answer[:60]!r}")
    same(os.stat(socket_path).st_uid, WEB, "which is its own")
    web.kill()
    web.wait()
    web, mark = start_web(f"unix:{socket_path}")
    with socket.socket(socket.AF_UNIX) as connection:
        same(connection.connect_ex(socket_path), 0, "a socket file left by a killed one is taken over")
    web.terminate()
    web.wait(20)
    same(spool.stop(), 0, "the daemon stops")

finish()
