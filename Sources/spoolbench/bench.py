#!/usr/bin/env python3
"""How fast jobspool is, beside the limit of the machine and the queues people use: the rows of docs/PERFORMANCE.md.

    make bench                     builds for release and runs every row but 'commit': forty minutes
    bench.py all                   every row           bench.py submit drain   some rows
    --runs 3                       how often each is measured (the median counts; what takes minutes is measured once)
    --quick                        fewer jobs          --no-peers   jobspool and the limit alone
    --out FILE                     JSON lines there, one for each figure (.build/bench/results.jsonl, begun anew)
    BENCH_FOLDER=DIR               spools there, to try another disk or file system

The programs take turns, so that a machine that gets slower does so for all of them. They are the real ones, as processes
of their own. Spools lie on the disk that holds .build: a tmpfs would make every sync free. Peers are in peers.py, what is
to be reached in verdicts.py."""

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
WORK = os.path.join(TOP, ".build", "bench")
BIN = os.environ.get("JOBSPOOL_BIN", os.path.join(TOP, ".build", "release"))
LIMITS = os.path.join(WORK, "limits")
FOLDER = os.environ.get("BENCH_FOLDER")
WEB = os.environ.get("JOBSPOOL_WEB", os.path.join(BIN, "jobspool-web"))
sys.path.insert(0, HERE)

# A worker as people write it.
LOOP = """import json, sys
for line in sys.stdin:
    job = json.loads(line)
    print(json.dumps({'id': job['id'], 'ok': True, 'result': job['payload']['n']}), flush=True)
"""

ROWS = {}


def row(name):
    def add(function):
        ROWS[name] = function
        return function
    return add


class Bench:
    """Figures by name; each is measured by turns."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.figures = []
        self.out = open(arguments.out, "w")

    def scaled(self, count):
        return max(int(count * (0.1 if self.arguments.quick else self.arguments.scale)), 64)

    def note(self, line):
        self.out.write(json.dumps(line) + "\n")
        self.out.flush()

    def measure(self, row_name, contestants, unit, better="more", once=False, peers=None, turns=1):
        """contestants: name → function that gives one number, or several by a suffix; unit: of all, or by suffix; peers: the
        same, in the first turn only; turns: so many times as often, for work that is short and hangs on the disk. Prints
        medians. A share is the median of those of the turns, each of the limit in the same turn: a disk that changes its
        pace changes both."""
        found, refused = {}, set()
        for turn in range(1 if once else self.arguments.runs * turns):
            for name, body in {**contestants, **(peers or {})}.items() if turn == 0 else contestants.items():
                if name in refused:
                    continue
                try:
                    got = body()
                except Exception as error:  # noqa: BLE001: one that cannot run here must not end the others
                    refused.add(name)
                    print(f"  {row_name:14} {name:24} does not run: {str(error)[:300]}", flush=True)
                    self.note({"row": row_name, "who": name, "error": str(error)[:300]})
                    continue
                for suffix, value in (got.items() if isinstance(got, dict) else [("", got)]):
                    found.setdefault(name + suffix, []).append(value)
        limits = {key[5:]: values for key, values in found.items() if key.split(".")[0] == "limit"}
        for name, values in found.items():
            suffix = name[name.index("."):] if "." in name else ""
            value = statistics.median(values)
            measure = unit.get(suffix, unit.get("")) if isinstance(unit, dict) else unit
            line = {"row": row_name, "who": name, "value": round(value, 4), "unit": measure, "runs": [round(v, 4) for v in values]}
            limit = limits.get(suffix)
            if limit and not name.startswith("limit"):
                shares = [ours / best if better == "more" else best / ours for ours, best in zip(values, limit)]
                line["of_limit"] = round(statistics.median(shares), 3)
            line["at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self.note(line)
            self.figures.append(line)
            share = f"{line['of_limit']:6.2f} of the limit" if "of_limit" in line else ""
            print(f"  {row_name:14} {name:24} {value:12.3f} {measure:6} {share}", flush=True)


def tool(name):
    path = os.path.join(BIN, name)
    if not os.access(path, os.X_OK):
        sys.exit(f"{path} is missing; 'make bench' builds it")
    return path


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])}: {done.returncode}: {done.stderr[-300:]}")
    return done.stdout


def limit(*arguments, key="per_second"):
    with fresh() as folder:
        return json.loads(run(LIMITS, arguments[0], f"{folder}/spool", *map(str, arguments[1:])))[key]


@contextlib.contextmanager
def fresh():
    folder = os.path.join(FOLDER or WORK, "run")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    # What an earlier run left for the disk to do is not this one's.
    os.sync()
    quiet(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def quiet(folder, patience=300):
    """Waits until the disk has nothing to do. A file system mounted with `discard` tells the disk of every removed file long
    after its removal, thousands a second, and a sync meanwhile takes many times as long."""
    number = os.stat(folder).st_dev
    stat = f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat"
    if not os.path.exists(stat):
        return

    def work():
        # https://docs.kernel.org/block/stat.html: writes, in flight, discards
        with open(stat) as file:
            fields = file.read().split()
        return fields[4], fields[8], *fields[11:12]

    end = time.monotonic() + patience
    last, since = work(), time.monotonic()
    while time.monotonic() - since < 0.3 and time.monotonic() < end:
        time.sleep(0.05)
        now = work()
        if now != last:
            last, since = now, time.monotonic()


def until(condition, what, patience=120, every=0.002):
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"waited in vain for {what}")
        time.sleep(every)


def names(folder):
    try:
        return len(os.listdir(folder))
    except FileNotFoundError:
        return 0


class Spool:
    """A spool in a folder and, when started, its daemon."""

    HANDLERS = {
        "noop": '"{limits}", "worker"]\nmode = "worker"\nconcurrency = 256\nprocesses = 4\n',
        "one": '"{limits}", "worker"]\nmode = "worker"\nconcurrency = 4\nprocesses = 4\n',
        "python": '"{python}", "-c", """\n{loop}"""]\nmode = "worker"\nconcurrency = 256\nprocesses = 4\n',
        "stamp": '"{limits}", "worker", "{folder}/stamps"]\nmode = "worker"\nconcurrency = 1\n',
        "once": '"{limits}", "once", "{folder}/stamps"]\n',
        "true": '"/bin/true"]\nconcurrency = 4\n',
    }

    def __init__(self, folder, max_jobs=256):
        self.folder, self.path = folder, f"{folder}/spool"
        for name in ("tmp", "new", "cur", "done", "dead", "hold", "ctl", "log/jobs", "handlers", "schedules"):
            os.makedirs(f"{self.path}/{name}", exist_ok=True)
        with open(f"{self.path}/jobspool.toml", "w") as file:
            file.write(f'max_jobs = {max_jobs}\nnode = "bench"\nmin_free = "1M"\n')
        self.process = None

    def handler(self, kind, type_="noop", more=""):
        text = "command = [" + self.HANDLERS[kind].format(
            limits=LIMITS, folder=self.folder, python=sys.executable, loop=LOOP) + more
        with open(f"{self.path}/handlers/{type_}.toml", "w") as file:
            file.write(text)

    def start(self):
        """Returns when the daemon says that it runs: seconds from its start."""
        self.log = f"{self.folder}/daemon.log"
        mark = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        began = time.monotonic()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [tool("jobspoold"), "--spool", self.path, "--no-web"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def runs():
            if self.process.poll() is not None:
                raise RuntimeError(f"the daemon ended: {open(self.log).read()[-500:]}")
            with open(self.log, "rb") as file:
                file.seek(mark)
                return b"runs on" in file.read()

        until(runs, "the daemon")
        if "cannot be used" in open(self.log).read():
            raise RuntimeError(open(self.log).read()[:400])
        return time.monotonic() - began

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()

    def pause(self):
        open(f"{self.path}/ctl/pause", "w").close()

    def resume(self):
        os.unlink(f"{self.path}/ctl/pause")

    def done(self):
        return names(f"{self.path}/done")

    def rest(self, count):
        """Waits until so many lie in done/ and returns when the last of them came there (seconds since 1970). Looks as
        seldom as it can: listing a folder costs the daemon's time, and the folder itself knows when it was changed last."""
        began = time.monotonic()
        while True:
            done = self.done()
            if done >= count:
                return os.stat(f"{self.path}/done").st_mtime_ns / 1e9
            if time.monotonic() - began > 600:
                raise RuntimeError(f"{done} of {count} were done in ten minutes")
            pace = done / max(time.monotonic() - began, 1e-6)
            time.sleep(min(max((count - done) / pace * 0.7, 0.02), 1) if pace else 0.05)

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["VmRSS"].split()[0]) / 1024


def fill(spool, count):
    """`count` waiting jobs that cost no sync each."""
    run(LIMITS, "fill", spool.path, str(count))


# MARK: submit


def client(what, count, size):
    with fresh() as folder, Spool(folder) as spool:
        spool.handler("noop")
        return json.loads(run(tool("spoolbench"), what, spool.path, str(count), str(size)))["per_second"]


def by_command_line(count):
    with fresh() as folder, Spool(folder) as spool:
        spool.handler("noop")
        began = time.monotonic()
        for number in range(count):
            run(tool("jobspool"), "submit", "noop", "--spool", spool.path, "--payload", f'{{"n":{number}}}')
        return count / (time.monotonic() - began)


def bulk(count):
    with fresh() as folder, Spool(folder) as spool:
        spool.handler("noop")
        text = "".join(
            f'{{"type":"noop","payload":{{"n":{n},"to":"ada@example.org","subject":"hello"}}}}\n' for n in range(count))
        began = time.monotonic()
        run(tool("jobspool"), "submit", "--spool", spool.path, "--bulk", "-", input=text)
        return count / (time.monotonic() - began)


@row("submit")
def submit_one(bench):
    count = bench.scaled(600)
    contestants = {
        "limit": lambda: limit("submit", count, 1),
        "limit-after": lambda: limit("after", count),
        "jobspool": lambda: client("submit", count, 1),
        "jobspool-cli": lambda: by_command_line(count // 10),
    }
    bench.measure("submit", contestants, "jobs/s", peers=bench.peers("submit", count * 5), turns=5)


@row("submit-8")
def submit_eight(bench):
    count = bench.scaled(3000)
    bench.measure("submit-8", {
        "limit": lambda: limit("submit", count, 8), "jobspool": lambda: client("submit", count, 8),
    }, "jobs/s", turns=5)


@row("submit-batch")
def submit_batches(bench):
    for size in (64, 1024):
        count = bench.scaled(size * 100 if size < 100 else size * 20)
        name = "submit-batch" if size == 64 else f"submit-batch-{size}"
        bench.measure(name, {
            "limit": lambda: limit("batch", count, size), "jobspool": lambda: client("batch", count, size),
            **({"jobspool-bulk": lambda: bulk(count)} if size > 64 else {}),
        }, "jobs/s", turns=3)


# MARK: drain


def drain(kind, count, owner=None, max_jobs=256):
    """Jobs per second from the moment the paused daemon is let go until the last file lies in done/."""
    with fresh() as folder, Spool(folder, max_jobs) as spool:
        spool.handler(kind)
        fill(spool, count)
        if owner is not None:
            for name in os.listdir(f"{spool.path}/new"):
                os.chmod(f"{spool.path}/new/{name}", 0o644)
                os.chown(f"{spool.path}/new/{name}", owner, owner)
            os.sync()
        spool.pause()
        spool.start()
        until(lambda: all_known(spool, count), "the backlog to be known")
        began = time.time()
        spool.resume()
        return count / (spool.rest(count) - began)


def all_known(spool, count):
    with contextlib.suppress(OSError, ValueError, AttributeError):
        with open(f"{spool.path}/status.json") as file:
            status = json.load(file)
        waiting = status.get("waiting", status.get("ready"))
        if isinstance(waiting, dict):
            waiting = sum(waiting.values())
        return waiting is not None and waiting >= count
    return False


@row("drain")
def drain_worker(bench):
    count = bench.scaled(30000)
    contestants = {
        "limit": lambda: limit("drain-renames", count, 64),
        "limit-records": lambda: limit("drain", count, 64),
        "jobspool": lambda: drain("noop", count),
        "jobspool-1-in-flight": lambda: drain("one", count, max_jobs=4),
        "jobspool-python": lambda: drain("python", count // 2),
    }
    bench.measure("drain", contestants, "jobs/s", peers=bench.peers("drain", count // 4), turns=2)


@row("commit")
def commits(bench):
    """What a commit, and an adoption, may sync, in C: decision 4."""
    count = bench.scaled(20000)
    bench.measure("commit", {
        f"limit-{name}-{size}": lambda what=what, size=size: limit(what, count, size)
        for name, what in (("log", "drain"), ("syncfs", "drain-fs"), ("files", "drain-files"),
                           ("adopt-syncfs", "adopt"), ("adopt-files", "adopt-files")) for size in (4, 16, 64, 256)
    }, "jobs/s")


@row("drain-adopted")
def drain_adopted(bench):
    count = bench.scaled(10000)
    bench.measure("drain-adopted", {
        "limit": lambda: limit("adopt", count, 64), "jobspool": lambda: drain("noop", count, owner=65534),
    }, "jobs/s")


@row("drain-exec")
def drain_exec(bench):
    count = bench.scaled(4000)
    contestants = {
        "limit": lambda: limit("exec", count, 4), "jobspool": lambda: drain("true", count, max_jobs=4),
        # In every turn: they are close, and what starts processes varies most.
        **bench.peers("exec", count),
    }
    bench.measure("drain-exec", contestants, "jobs/s", turns=3)


# MARK: latency


def latency(kind, count):
    """Milliseconds from the rename to the handler, one job at a time in an idle spool."""
    with fresh() as folder, Spool(folder) as spool:
        spool.handler(kind, "noop")
        spool.start()
        dropped = {}
        stamps = f"{folder}/stamps"
        for number in range(count + 1):
            name = f"n-{number}"
            with open(f"{spool.path}/tmp/{name}.json", "w") as file:
                file.write('{"type":"noop"}\n')
            time.sleep(0.004)
            dropped[name] = time.monotonic()
            os.rename(f"{spool.path}/tmp/{name}.json", f"{spool.path}/new/{name}.json")
            until(lambda: os.path.exists(f"{spool.path}/done/{name}.json"), f"{name} to be done", 20, 0.001)
        with open(stamps) as file:
            seen = dict(line.split() for line in file)
        # The first one started the worker.
        times = sorted((float(seen[name]) - at) * 1000 for name, at in dropped.items() if name != "n-0")
        return {".p50": times[len(times) // 2], ".p99": times[len(times) * 99 // 100]}


def limit_latency(count, *how):
    with fresh() as folder:
        found = json.loads(run(LIMITS, "wake", f"{folder}/spool", str(count), *how))
    return {".p50": found["p50_ms"], ".p99": found["p99_ms"]}


@row("latency")
def latency_worker(bench):
    count = bench.scaled(1000)
    contestants = {"limit": lambda: limit_latency(count), "jobspool": lambda: latency("stamp", count)}
    bench.measure("latency", contestants, "ms", better="less", peers=bench.peers("latency", count // 2))


@row("latency-exec")
def latency_exec(bench):
    count = bench.scaled(1000)
    contestants = {"limit": lambda: limit_latency(count, "exec"), "jobspool": lambda: latency("once", count)}
    bench.measure("latency-exec", contestants, "ms", better="less", peers=bench.peers("latency-exec", count // 5))


# MARK: memory, depth, start


def memory(count):
    with fresh() as folder, Spool(folder) as spool:
        spool.handler("noop")
        if count:
            fill(spool, count)
            spool.pause()
        spool.start()
        if count:
            until(lambda: all_known(spool, count), "the backlog to be known", 600)
        time.sleep(3)
        return spool.memory()


@row("memory")
def memory_idle(bench):
    # Fewer would drown in what the allocator keeps.
    def per_waiting():
        return memory(100000) - memory(0)

    bench.measure("memory-idle", {"jobspool": lambda: memory(0)}, "MB", "less", peers=bench.peers("memory", 0))
    bench.measure("memory-100k", {"jobspool": per_waiting}, "MB", "less")


def machine():
    with open("/proc/cpuinfo") as file:
        cpu = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "?")
    mount = json.loads(run("findmnt", "-J", "-T", FOLDER or WORK))["filesystems"][0]
    return {
        "row": "machine", "cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(), "file_system": f"{mount['fstype']} {mount['options']}",
        "load": os.getloadavg()[0], "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def main():
    import api  # noqa: F401: they add their rows
    import scale  # noqa: F401

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="rows: " + " ".join(ROWS))
    parser.add_argument("rows", nargs="*", metavar="ROW", help="all, or some of the rows below")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--scale", type=float, default=1, help="so many times the jobs")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--out", default=os.path.join(WORK, "results.jsonl"))
    arguments = parser.parse_args()
    wanted = arguments.rows or [name for name in ROWS if name != "commit"]
    if wanted == ["all"]:
        wanted = list(ROWS)
    for name in wanted:
        if name not in ROWS:
            parser.error(f"there is no row '{name}'; there are: {' '.join(ROWS)}")
    # So that what was started is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    os.makedirs(WORK, exist_ok=True)
    run("cc", "-O2", "-pthread", "-o", LIMITS, f"{HERE}/limits.c")
    bench = Bench(arguments)
    bench.note(machine())
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        bench.peers = lambda *_: {}
        if not arguments.no_peers:
            import peers

            bench.peers = stack.enter_context(peers.Peers(WORK)).contestants
        for name in wanted:
            ROWS[name](bench)
    print(f"\n{len(bench.figures)} figures in {(time.monotonic() - began) / 60:.1f} minutes; {arguments.out}\n")
    import verdicts

    verdicts.table(bench.figures, bench.note)


if __name__ == "__main__":
    # Rows in other files add themselves to this module, not to a second copy of it.
    sys.modules["bench"] = sys.modules["__main__"]
    main()
