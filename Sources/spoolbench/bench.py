#!/usr/bin/env python3
"""How fast jobspool is, beside the limit of the machine and the queues people use: the rows of docs/PERFORMANCE.md.

    make bench                     builds for release and runs all of it
    bench.py --only submit drain   some rows        --runs 3   how often each is measured (the median counts)
    bench.py --quick               fewer jobs       --no-peers jobspool and the limit alone
    BENCH_FOLDER=DIR               spools there, to try another disk or file system
    bench.py --out FILE            JSON lines there, one for each figure (.build/bench/results.jsonl)

Every figure is measured RUNS times, the programs by turns, so that a machine that gets slower does so for all of them.
The programs are the real ones, as processes of their own. Spools lie on the disk that holds .build: a tmpfs would make
every sync free. Peers are in peers.py."""

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
        self.out = open(arguments.out, "a")

    def scaled(self, count):
        return max(int(count * (0.1 if self.arguments.quick else self.arguments.scale)), 64)

    def measure(self, row_name, contestants, unit, better="more"):
        """contestants: name → function that gives one number, or several by a suffix. Prints medians and ratios."""
        found = {}
        for turn in range(self.arguments.runs):
            for name, body in contestants.items():
                try:
                    got = body()
                except Exception as error:  # noqa: BLE001: one that cannot run here must not end the others
                    print(f"  {row_name:14} {name:22} does not run: {str(error)[:300]}", flush=True)
                    continue
                for suffix, value in (got.items() if isinstance(got, dict) else [("", got)]):
                    found.setdefault(name + suffix, []).append(value)
        limits = {key[5:]: statistics.median(values) for key, values in found.items() if key.split(".")[0] == "limit"}
        for name, values in found.items():
            suffix = name[name.index("."):] if "." in name else ""
            value = statistics.median(values)
            line = {"row": row_name, "who": name, "value": round(value, 4), "unit": unit, "runs": [round(v, 4) for v in values]}
            limit = limits.get(suffix)
            if limit and not name.startswith("limit"):
                line["of_limit"] = round(value / limit if better == "more" else limit / value, 3)
            line["at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self.out.write(json.dumps(line) + "\n")
            self.out.flush()
            share = f"{line['of_limit']:6.2f} of the limit" if "of_limit" in line else ""
            print(f"  {row_name:14} {name:22} {value:12.3f} {unit:6} {share}", flush=True)


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
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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

    def handler(self, kind, type_="noop"):
        text = "command = [" + self.HANDLERS[kind].format(
            limits=LIMITS, folder=self.folder, python=sys.executable, loop=LOOP)
        with open(f"{self.path}/handlers/{type_}.toml", "w") as file:
            file.write(text)

    def start(self):
        """Returns when the daemon says that it runs: seconds from its start."""
        self.log = f"{self.folder}/daemon.log"
        began = time.monotonic()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [tool("jobspoold"), "--spool", self.path, "--no-web"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def runs():
            if self.process.poll() is not None:
                raise RuntimeError(f"the daemon ended: {open(self.log).read()[-500:]}")
            return b"runs on" in open(self.log, "rb").read()

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
    count = bench.scaled(3000)
    contestants = {
        "limit": lambda: limit("submit", count, 1),
        "limit-after": lambda: limit("after", count),
        "jobspool": lambda: client("submit", count, 1),
        "jobspool-cli": lambda: by_command_line(count // 10),
    }
    bench.measure("submit", {**contestants, **bench.peers("submit", count)}, "jobs/s")


@row("submit-8")
def submit_eight(bench):
    count = bench.scaled(16000)
    bench.measure("submit-8", {
        "limit": lambda: limit("submit", count, 8), "jobspool": lambda: client("submit", count, 8),
    }, "jobs/s")


@row("submit-batch")
def submit_batches(bench):
    count = bench.scaled(32000)
    bench.measure("submit-batch", {
        "limit": lambda: limit("batch", count, 64), "jobspool": lambda: client("batch", count, 64),
        "jobspool-bulk": lambda: bulk(count),
    }, "jobs/s")


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
        began = time.monotonic()
        spool.resume()
        until(lambda: names(f"{spool.path}/cur") + names(f"{spool.path}/new") == 0 and spool.done() >= count,
              "the drain", every=0.005 if count > 1000 else 0.001)
        return count / (time.monotonic() - began)


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
    bench.measure("drain", {**contestants, **bench.peers("drain", count // 4)}, "jobs/s")


@row("commit")
def commits(bench):
    """What a commit may sync, in C: decision 3."""
    count = bench.scaled(20000)
    bench.measure("commit", {
        f"limit-{name}-{size}": lambda what=what, size=size: limit(what, count, size)
        for name, what in (("log", "drain"), ("syncfs", "drain-fs"), ("files", "drain-files")) for size in (16, 64, 256)
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
    }
    bench.measure("drain-exec", {**contestants, **bench.peers("exec", count)}, "jobs/s")


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
    bench.measure("latency", {**contestants, **bench.peers("latency", count)}, "ms", better="less")


@row("latency-exec")
def latency_exec(bench):
    count = bench.scaled(1000)
    contestants = {"limit": lambda: limit_latency(count, "exec"), "jobspool": lambda: latency("once", count)}
    bench.measure("latency-exec", {**contestants, **bench.peers("latency-exec", count // 5)}, "ms", better="less")


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
    waiting = bench.scaled(100000)

    def per_waiting():
        return (memory(waiting) - memory(0)) * 100000 / waiting

    bench.measure("memory-idle", {"jobspool": lambda: memory(0), **bench.peers("memory", 0)}, "MB", "less")
    bench.measure("memory-100k", {"jobspool": per_waiting}, "MB", "less")


@row("depth")
def depth(bench):
    """Microseconds for one job while so many wait: the first 2,000 of each backlog."""
    for waiting in [1000, 10000, 100000] + ([] if bench.arguments.quick else [1000000]):
        def cost(waiting=waiting):
            with fresh() as folder, Spool(folder) as spool:
                spool.handler("noop")
                fill(spool, waiting)
                spool.pause()
                spool.start()
                until(lambda: all_known(spool, waiting), "the backlog to be known", 900, 0.05)
                count = min(waiting, 20000)
                began = time.monotonic()
                spool.resume()
                until(lambda: spool.done() >= count * 9 // 10, "the first jobs", every=0.01)
                took, settled = time.monotonic() - began, spool.done()
                resident = spool.memory()
                spool.process.kill()
                spool.process.wait()
                return {".us": took / settled * 1e6, ".mb": resident}

        bench.measure(f"depth-{waiting}", {"jobspool": cost}, "us|MB", "less")


@row("start")
def start(bench):
    """A start with a million waiting jobs that the run before knew: the first job done, and all of it known."""
    waiting = bench.scaled(1000000)

    def known(cold):
        def body():
            with fresh() as folder, Spool(folder) as spool:
                spool.handler("noop")
                fill(spool, waiting)
                spool.pause()
                spool.start()
                until(lambda: all_known(spool, waiting), "the backlog to be known", 900, 0.05)
                spool.stop()
                spool.resume()
                os.sync()
                if cold:
                    with open("/proc/sys/vm/drop_caches", "w") as file:
                        file.write("3\n")
                began = time.monotonic()
                spool.start()
                until(lambda: spool.done() > 0, "the first job", 300)
                first = time.monotonic() - began
                spool.process.kill()
                spool.process.wait()
                spool.pause()
                if cold:
                    os.sync()
                    with open("/proc/sys/vm/drop_caches", "w") as file:
                        file.write("3\n")
                began = time.monotonic()
                left = names(f"{spool.path}/new") - 100
                spool.start()
                until(lambda: all_known(spool, left), "the whole agenda", 600, 0.02)
                return {".first": first, ".whole": time.monotonic() - began}
        return body

    def listed():
        with fresh() as folder, Spool(folder) as spool:
            fill(spool, waiting)
            return {".whole": json.loads(run(LIMITS, "list", f"{spool.path}/new"))["seconds"]}

    bench.measure("start-1M", {"limit": listed, "jobspool": known(False)}, "s", "less")
    if os.geteuid() == 0:
        bench.measure("start-1M-cold", {"jobspool": known(True)}, "s", "less")


def machine():
    with open("/proc/cpuinfo") as file:
        cpu = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "?")
    kind = run("stat", "-f", "-c", "%T", FOLDER or WORK).strip()
    return {
        "row": "machine", "cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(), "file_system": kind,
        "load": os.getloadavg()[0], "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def main():
    parser = argparse.ArgumentParser(description="Measures jobspool, the machine's limits, and other queues.")
    parser.add_argument("--only", nargs="+", choices=sorted(ROWS), default=sorted(ROWS, key=list(ROWS).index))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--scale", type=float, default=1, help="so many times the jobs")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--out", default=os.path.join(WORK, "results.jsonl"))
    arguments = parser.parse_args()
    # So that what was started is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    os.makedirs(WORK, exist_ok=True)
    run("cc", "-O2", "-pthread", "-o", LIMITS, f"{HERE}/limits.c")
    bench = Bench(arguments)
    bench.out.write(json.dumps(machine()) + "\n")
    if arguments.no_peers:
        bench.peers = lambda *_: {}
        for name in arguments.only:
            ROWS[name](bench)
        return
    import peers

    with peers.Peers(WORK) as others:
        bench.peers = others.contestants
        for name in arguments.only:
            ROWS[name](bench)


if __name__ == "__main__":
    main()
