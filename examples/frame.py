"""What the examples share: a copy of one to run in, its daemon and command line, and the rows of its README.

An example is a folder: README.md, `spool/` (jobspool.toml, handlers, schedules), the programs of its small world, `start`,
which runs it for a person, and `test`, which shows each row of the README's table. Both work on a copy, so nothing of what
is in the tree changes. Judging is left to Tests/EndToEnd/daemon.py, which reads files as files. Standard library only.
"""

import atexit
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(TOP, "Tests", "EndToEnd"))
for folder in ("python", "examples-python"):
    sys.path.append(os.path.join(TOP, ".build", folder))
    os.environ["PYTHONPATH"] = os.pathsep.join(
        part for part in (os.environ.get("PYTHONPATH"), os.path.join(TOP, ".build", folder)) if part)
# What the programs of an example's world import: world.py here, and the recipe for dropping a job.
os.environ["PYTHONPATH"] = os.pathsep.join([os.environ.get("PYTHONPATH", ""), HERE, os.path.join(HERE, "producers")]).lstrip(os.pathsep)
os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")

import daemon  # noqa: E402
from daemon import check, same, until  # noqa: E402

rows_passed: list[str] = []


def programs():
    """The folder of the programs: $JOBSPOOL_BIN, what this checkout built, or what is installed."""
    for folder in (os.environ.get("JOBSPOOL_BIN"), os.path.join(TOP, ".build", "debug"), "/usr/bin"):
        if folder and os.access(os.path.join(folder, "jobspoold"), os.X_OK):
            return os.path.abspath(folder)
    sys.exit("jobspoold is not built: 'swift build', then this again")


class Example(daemon.Spool):
    """A copy of an example, and the daemon on its spool. `folder` is the copy, `path` its spool."""

    def __init__(self, name, to=None, config=""):
        self.name = name
        self.folder = os.path.join(to or os.path.join(daemon.scratch(), name))
        self.world = os.path.join(self.folder, "world")
        source = os.path.join(HERE, name)
        shutil.copytree(source, self.folder, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("README.md", "test", "start", "needs", "__pycache__"))
        with open(os.path.join(source, "spool", "jobspool.toml")) as file:
            config = file.read() + config
        os.environ["JOBSPOOL_BIN"] = programs()
        os.environ["PATH"] = programs() + os.pathsep + os.environ["PATH"]
        super().__init__(config=config, path=os.path.join(self.folder, "spool"))

    def program(self, name, *arguments):
        """Starts world/NAME.py (or town.py of here), which ends with this script, and returns what it announces in world/NAME.json."""
        source = next(path for path in (os.path.join(self.world, f"{name}.py"), os.path.join(HERE, f"{name}.py")) if os.path.exists(path))
        with open(os.path.join(self.world, f"{name}.log"), "ab") as log:
            process = subprocess.Popen([sys.executable, source, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        atexit.register(process.kill)
        path = os.path.join(self.world, f"{name}.json")
        until(lambda: os.path.exists(path) or process.poll() is not None, f"{name} listens", every=0.05)
        if not os.path.exists(path):
            with open(os.path.join(self.world, f"{name}.log")) as log:
                sys.exit(f"{name}.py ended with {process.returncode}: {log.read()[-2000:]}")
        with open(path) as file:
            return json.load(file)

    def town(self):
        """Starts the mail server and the receivers, and lets `sendmail` of examples/notices reach them; their addresses."""
        town = self.program("town", self.world)
        os.environ["SENDMAIL"], os.environ["SMTP_PORT"] = os.path.join(HERE, "notices", "sendmail-to-port"), str(town["smtp"])
        return town

    def received(self, by, text=""):
        """What reached the mail server (`mail`) or the path `by`, with the text somewhere in it."""
        try:
            with open(os.path.join(self.world, "received.jsonl")) as file:
                return [what for what in map(json.loads, file) if what["by"] == by and text in json.dumps(what, ensure_ascii=False)]
        except FileNotFoundError:
            return []

    def cli(self, *arguments, expect=0, stdin=None, patience=60):
        """What the command line printed; its exit code is checked."""
        done = subprocess.run([os.path.join(programs(), "jobspool"), *arguments, "--spool", self.path], input=stdin,
                              stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True, text=True,
                              timeout=patience, cwd="/")
        if expect is not None and done.returncode != expect:
            same(done.returncode, expect, f"exit code of jobspool {' '.join(arguments)} ({done.stderr.strip()})")
        return done.stdout

    def json(self, *arguments, **more):
        return json.loads(self.cli(*arguments, "--json", **more) or "null")

    def log_of(self, id_):
        """The job's log, as lines."""
        try:
            with open(self.at("log", "jobs", f"{id_}.log")) as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def replace(self, file, *changes):
        """Settings of the copy, changed for a test's sake; each has to be there. A running daemon has read them after it."""
        with open(self.at(file)) as source:
            text = source.read()
        for old, new in changes:
            if old not in text:
                check(False, f"{file} has: {old}")
            text = text.replace(old, new)
        reloaded = self.reloads()
        self.configure(text, file)
        if self.process:
            until(lambda: self.reloads() > reloaded, f"{file} is read again", every=0.1)

    def reloads(self):
        """How often it has read its configuration again, as it says; the audit log of a long history takes long to read."""
        return self.said().count(b"configuration reloaded") if os.path.exists(self.log) else 0

    def serve(self):
        """The daemon with its web program, on a port of its own; `http` then calls it as an admin."""
        daemon.program("jobspool-web")
        with open(self.at("jobspool.toml")) as file:
            self.configure(file.read() + '\n[web]\nlisten = "127.0.0.1:0"\n')
        mark = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        self.start("--config", self.at("jobspool.toml"))
        ports = until(lambda: re.findall(rb" on http://127\.0\.0\.1:(\d+)", self.said(mark)), "the web program listens")
        self.url = f"http://127.0.0.1:{int(ports[-1])}"
        self.bearer = self.cli("token", "create", "--role", "admin", "--subject", "admin").split()[-1]

    def http(self, method, path, body=None):
        """Status and what the API answered, as an object."""
        request = urllib.request.Request(self.url + path, json.dumps(body).encode() if body is not None else None, method=method,
                                         headers={"Authorization": f"Bearer {self.bearer}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def kill(self):
        """kill -9 of the daemon."""
        return self.stop(signal.SIGKILL)

    def run(self, told):
        """The daemon in the foreground, for `start`: until Ctrl-C."""
        print(told, flush=True)
        process = subprocess.Popen([os.path.join(programs(), "jobspoold"), "--spool", self.path])
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        while process.poll() is None:
            try:
                process.wait()
            except KeyboardInterrupt:
                process.terminate()
        return process.returncode


def fresh(name):
    """The folder that `start` runs in, made anew."""
    folder = os.path.join(TOP, ".build", "examples", name)
    try:
        with open(os.path.join(folder, "spool", "status.json")) as file:
            pid = json.load(file)["pid"]
        if daemon.alive(pid):
            sys.exit(f"it runs already, as process {pid}: end that first")
    except FileNotFoundError:
        pass
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def row(system, name, kept, figure):
    """One row of the table is kept, with the figure that shows it."""
    if check(kept, f"{system} {name}: {figure}"):
        rows_passed.append(name)
        print(f'= passed {system} "{name}": {figure}', flush=True)


def finish(name):
    """Every row of the README's table was shown, and no other; then the count."""
    with open(os.path.join(HERE, name, "README.md")) as file:
        promised = re.findall(r"^\| ✓ ([^|]+?) \|", file.read(), flags=re.M)
    check(promised, "the README has rows (| ✓ row |)")
    same(sorted(set(promised) - set(rows_passed)), [], "rows of the README that were not shown")
    same(sorted(set(rows_passed) - set(promised)), [], "rows shown that the README lacks")
    daemon.finish()
