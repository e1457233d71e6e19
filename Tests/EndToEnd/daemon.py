"""What the scripts here share: a spool in $SCRATCH, the real daemon on it, and a look at both from outside.

Nothing of jobspool is used to judge jobspool: files are read as files, the audit log's chain of hashes is recomputed
here. Waiting is for something to become true, with a limit that only a broken daemon reaches. Not executable: it is no
test of its own. Standard library only.
"""

import glob
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STATES = ("new", "cur", "done", "dead", "hold")
FOLDERS = ("tmp",) + STATES + ("ctl", "log", "log/jobs", "handlers", "schedules")
# A wait that takes longer than this is a failure; loaded machines are slow, so it is generous.
PATIENCE = float(os.environ.get("PATIENCE", "60"))

failures = 0


def say(text):
    """A measurement or a count, shown also when all is well."""
    print("= " + text, flush=True)


def check(condition, what):
    """One thing that has to be so; the script goes on and fails at its end."""
    global failures
    if condition:
        print("ok    " + what, flush=True)
    else:
        failures += 1
        print("WRONG " + what, flush=True)
    return bool(condition)


def same(found, expected, what):
    return check(found == expected, f"{what}: {found!r}" + ("" if found == expected else f" instead of {expected!r}"))


def skip(why):
    print(why)
    sys.exit(77)


def finish():
    print("all well" if failures == 0 else f"{failures} wrong")
    sys.exit(1 if failures else 0)


def program(name):
    folder = os.environ.get("JOBSPOOL_BIN", os.path.join(TOP, ".build", "debug"))
    path = os.path.join(folder, name)
    if not os.access(path, os.X_OK):
        skip(f"{path} is not built")
    return path


def own_mounts():
    """Begins anew where nobody else sees what is mounted. Other suites start daemons in mount namespaces of their own, and
    whatever is copied into one of those stays in use until it ends."""
    if "OWN_MOUNTS" in os.environ:
        return
    if os.geteuid() != 0 or not shutil.which("unshare"):
        skip("mounting needs root and unshare (Debian: util-linux)")
    os.environ["OWN_MOUNTS"] = "1"
    os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])


def scratch():
    """A folder for this script, on a disk; gone with the script when nobody gave one."""
    folder = os.environ.get("SCRATCH")
    if not folder:
        folder = tempfile.mkdtemp()
        import atexit

        atexit.register(shutil.rmtree, folder, True)
    return folder


def until(condition, what, patience=None, every=0.005):
    """Waits until the condition holds and returns what it gave; a failure when it never does. A look that costs something
    is taken less often than `every` few milliseconds, not to slow what it waits for."""
    end = time.monotonic() + (patience or PATIENCE)
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            check(False, f"waited {patience or PATIENCE:g} s in vain: {what() if callable(what) else what}")
            return None
        time.sleep(every)


def alive(pid):
    """Whether the process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def marked(mark):
    """Processes whose environment holds the text: handlers of one spool, wherever they hid."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/environ", "rb") as file:
                    if mark.encode() in file.read() and alive(int(entry)):
                        found.append(int(entry))
            except OSError:
                pass
    return found


class Spool:
    """A spool and, when started, its daemon. Handlers are shell scripts written into it."""

    def __init__(self, name="spool", config="", path=None):
        self.path = path or os.path.join(scratch(), name)
        for folder in FOLDERS:
            os.makedirs(os.path.join(self.path, folder), exist_ok=True)
        os.makedirs(self.at("handlers", "bin"), exist_ok=True)
        self.configure(config)
        self.process = None
        self.starts = 0
        self.log = self.path + ".stderr"

    # Files

    def at(self, *parts):
        return os.path.join(self.path, *parts)

    def configure(self, text, name="jobspool.toml"):
        """Replaces a configuration file as an editor does."""
        path = self.at(name)
        with open(path + "~", "w") as file:
            file.write(text)
        os.rename(path + "~", path)

    def handler(self, type_, script, settings="", interpreter="/bin/sh"):
        """A handler written as a script, and its handlers/TYPE.toml."""
        path = self.at("handlers", "bin", type_)
        with open(path + "~", "w") as file:
            file.write(f"#!{interpreter}\n{script}\n")
        os.chmod(path + "~", 0o755)
        os.rename(path + "~", path)
        self.configure(f'command = ["{path}"]\n{settings}\n', f"handlers/{type_}.toml")

    def drop(self, id_, job, to="new"):
        """The producer protocol: a file in tmp/, a rename. `job` as an object, or bytes as they are."""
        data = job if isinstance(job, bytes) else json.dumps(job).encode()
        staged = self.at("tmp", f"{id_}.json")
        with open(staged, "wb") as file:
            file.write(data)
        os.rename(staged, self.at(to, f"{id_}.json"))

    def states(self, id_):
        """The folders that hold the id; twice looked at, because a move may happen in between."""
        return [state for state in STATES if os.path.lexists(self.at(state, f"{id_}.json"))]

    def read(self, state, id_):
        with open(self.at(state, f"{id_}.json"), "rb") as file:
            return file.read()

    def job(self, state, id_):
        return json.loads(self.read(state, id_))

    def record(self, state, id_):
        return self.job(state, id_)["jobspool"]

    def names(self, state):
        return sorted(name for name in os.listdir(self.at(state)))

    def count(self, *states):
        return sum(len(os.listdir(self.at(state))) for state in states)

    def wait(self, id_, state="done", patience=None):
        """Waits for the job to lie in the state and returns its record."""
        path = self.at(state, f"{id_}.json")
        if until(lambda: os.path.exists(path), lambda: f"{state}/{id_}.json (it is in {self.states(id_)})", patience):
            return self.record(state, id_)
        return {}

    def status(self):
        try:
            with open(self.at("status.json")) as file:
                return json.load(file)
        except (FileNotFoundError, ValueError):
            return {}

    def type(self, name):
        """What status.json tells of a type; nothing while there is no such file."""
        return self.status().get("types", {}).get(name, {})

    def alerts(self):
        return {alert["code"]: alert["message"] for alert in self.status().get("alerts", [])}

    def alerted(self, code):
        return until(lambda: self.alerts().get(code), lambda: f"the alert {code} in {self.alerts()}") or ""

    def ask(self, request, name="ask", as_uid=None):
        """A request in ctl/ and its answer."""
        staged = self.at("ctl", f".{name}")
        with open(staged, "w") as file:
            json.dump(request, file)
        if as_uid is not None:
            os.chown(staged, as_uid, as_uid)
        os.rename(staged, self.at("ctl", f"{name}.json"))
        reply = self.at("ctl", f"{name}.reply")
        if not until(lambda: os.path.exists(reply), f"an answer to {request}"):
            return {}
        with open(reply) as file:
            answer = json.load(file)
        os.unlink(reply)
        return answer

    # Audit

    def audit(self):
        """Every event; the chain of hashes and the numbering are checked on the way."""
        events = []
        files = sorted(glob.glob(self.at("log", "audit-*.jsonl")), key=lambda path: path[-16:])
        previous = "0" * 64
        broken = []
        for path in files:
            with open(path, "rb") as file:
                data = file.read()
            if data and not data.endswith(b"\n"):
                broken.append(f"{path} ends within a line")
            for number, line in enumerate(data.split(b"\n")[:-1], 1):
                try:
                    event = json.loads(line)
                except ValueError:
                    broken.append(f"{path}:{number} is no JSON: {line[:80]!r}")
                    continue
                if events and event["prev"] != previous:
                    broken.append(f"{path}:{number} does not follow the line before")
                if events and event["seq"] != events[-1]["seq"] + 1:
                    broken.append(f"{path}:{number} has number {event['seq']} after {events[-1]['seq']}")
                previous = hashlib.sha256(line).hexdigest()
                events.append(event)
        for text in broken[:5]:
            print("      " + text)
        if broken:
            check(False, f"the chain of {len(events)} audit lines holds")
        return events

    def events(self, id_, *names):
        return [event for event in self.audit() if event.get("job") == id_ and (not names or event["event"] in names)]

    def verify(self):
        """What has to be true of any spool at rest."""
        events = self.audit()
        seen = {}
        for state in STATES:
            for name in os.listdir(self.at(state)):
                if not name.endswith(".json"):
                    continue
                seen.setdefault(name, []).append(state)
                try:
                    with open(self.at(state, name), "rb") as file:
                        job = json.loads(file.read())
                    record = job.get("jobspool")
                    if state in ("done", "dead") and (not record or record["state"] != state):
                        check(False, f"{state}/{name} says where it is: {record}")
                except (ValueError, IsADirectoryError) as error:
                    if state != "new":
                        check(False, f"{state}/{name} is whole: {error}")
        twice = {name: states for name, states in seen.items() if len(states) > 1}
        check(not twice, f"no job lies in two folders {dict(list(twice.items())[:3]) or ''}")
        # In tmp/, a submitter that was killed leaves its staged file to the sweep, a killed start the file of its trial rename.
        left = [f"cur/{name}" for name in os.listdir(self.at("cur")) if name.startswith(".") and name != ".gitkeep"]
        left += [f"tmp/{name}" for name in os.listdir(self.at("tmp")) if name.startswith((".adopt.", ".edit.", ".bare."))]
        check(not left, f"nothing of the daemon's is left in tmp/ or cur/ {left[:3] or ''}")
        return events

    # The daemon

    def start(self, *arguments, ready=True, env=None, prefix=(), binary=None):
        self.stderr = open(self.log, "ab")
        mark = os.path.getsize(self.log)
        self.process = subprocess.Popen(
            [*prefix, binary or program("jobspoold"), "--spool", self.path, *(arguments or ["--no-web"])],
            stdin=subprocess.DEVNULL, stdout=self.stderr, stderr=self.stderr, env=env, cwd="/",
        )
        self.starts += 1
        if ready:
            until(
                lambda: self.process.poll() is not None or b"runs on" in self.said(mark),
                lambda: f"the daemon runs: {self.said(mark)}",
            )
            if self.process.poll() is not None:
                check(False, f"the daemon runs; it ended with {self.process.returncode}: {self.said(mark).decode()}")
        return self.process

    def said(self, since=0):
        with open(self.log, "rb") as file:
            file.seek(since)
            return file.read()

    def stop(self, how=signal.SIGTERM, patience=None):
        """Stops it and returns the exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            code = self.process.wait(patience or PATIENCE)
        except subprocess.TimeoutExpired:
            check(False, f"the daemon ends within {patience or PATIENCE:g} s of signal {how}")
            self.process.kill()
            code = self.process.wait()
        self.process = None
        self.stderr.close()
        return code

    def resident(self):
        """Bytes in memory now, and at most so far."""
        with open(f"/proc/{self.process.pid}/status") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["VmRSS"].split()[0]) * 1024, int(lines["VmHWM"].split()[0]) * 1024

    def mark(self):
        """What marks the handlers of this spool."""
        with open(self.at("secret", "handler.token")) as file:
            return file.read().strip()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        # Handlers of a daemon that was killed: nobody else ends them.
        if os.path.exists(self.at("secret", "handler.token")):
            for pid in marked(self.mark()):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        if failures or error[0]:
            print(f"--- what the daemon of {self.path} said, its end ---")
            if os.path.exists(self.log):
                print(self.said()[-4000:].decode(errors="replace"))
        return False


def run_once(path, *arguments, patience=20):
    """The daemon where it is expected to refuse: exit code and what it said."""
    try:
        done = subprocess.run(
            [program("jobspoold"), "--spool", path, "--no-web", *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=patience, cwd="/",
        )
    except subprocess.TimeoutExpired as error:
        return None, (error.output or b"").decode()
    return done.returncode, done.stdout.decode()
