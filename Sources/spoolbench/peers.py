"""Other queues as their users run them, for bench.py: started in .build/bench on ports and sockets of their own, nothing of
the system's is touched. What is not installed is left out and said so (Debian: beanstalkd redis-server postgresql nq
task-spooler; PyPI: requirements.txt).

All that claim to be durable are set to be: beanstalkd -f0, Redis appendfsync always, PostgreSQL as it comes, SQLite with
synchronous FULL. nq, task-spooler and xargs keep no promise after a power cut; they are the rivals of `exec`.

A drain is timed from the first job taken to the last, by the length of the queue, so that no start of a worker counts."""

import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

TASKS = '''
import os, sys, time
sys.path.insert(0, {python!r})
PORT = {port}
def noop(n=0): return n
def stamp(path, name):
    with open(path, "a") as file: file.write("%s %.9f\\n" % (name, time.monotonic()))
'''
HUEY = '''
from tasks import *
from huey import RedisHuey
huey = RedisHuey("bench", host="127.0.0.1", port=PORT, results=False)
huey_noop = huey.task()(noop)
huey_stamp = huey.task()(stamp)
'''
CELERY = '''
from tasks import *
from celery import Celery
app = Celery("bench", broker="redis://127.0.0.1:%d/1" % PORT)
app.conf.update(task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=64,
                broker_connection_retry_on_startup=True)
celery_noop = app.task(name="noop")(noop)
celery_stamp = app.task(name="stamp")(stamp)
'''
BEANSTALK = '''
import sys
from tasks import *
import greenstalk
client = greenstalk.Client(("127.0.0.1", int(sys.argv[1])))
while True:
    job = client.reserve()
    if len(sys.argv) > 2: stamp(sys.argv[2], job.body)
    client.delete(job)
'''
PGQUEUER = '''
import asyncio, sys
from tasks import *
import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
async def main():
    connection = await asyncpg.connect(sys.argv[1])
    queuer = PgQueuer(AsyncpgDriver(connection))
    @queuer.entrypoint("noop")
    async def work(job): pass
    await queuer.run(batch_size=50)
asyncio.run(main())
'''


def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, what, patience=60, every=0.005):
    end = time.monotonic() + patience
    while True:
        with contextlib.suppress(OSError):
            found = condition()
            if found:
                return found
        if time.monotonic() > end:
            raise RuntimeError(f"waited in vain for {what}")
        time.sleep(every)


def resident(pid):
    """Of the process and its children, in MB."""
    total = 0
    for line in subprocess.run(["ps", "-o", "rss=", "-p", str(pid), "--ppid", str(pid)],
                               stdout=subprocess.PIPE, text=True).stdout.split():
        total += int(line)
    return total / 1024


class Peers:
    def __init__(self, work):
        self.folder = os.path.join(work, "peers")
        self.python = os.path.join(work, "python")
        self.started = []
        self.missing = []

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        os.chmod(self.folder, 0o755)
        sys.path.insert(0, self.python)
        self.environment = dict(os.environ, PYTHONPATH=f"{self.folder}:{self.python}")
        self.redis_port, self.beanstalk_port = port(), port()
        for name, text in (("tasks", TASKS.format(python=self.python, port=self.redis_port)), ("huey_app", HUEY),
                           ("celery_app", CELERY), ("beanstalk_worker", BEANSTALK), ("pgqueuer_worker", PGQUEUER)):
            with open(f"{self.folder}/{name}.py", "w") as file:
                file.write(text)
        sys.path.insert(0, self.folder)
        self.postgres = None
        return self

    def __exit__(self, *error):
        for process in reversed(self.started):
            self.end(process)
        if self.postgres:
            self.as_postgres(f"{self.postgres_bin}/pg_ctl", "-D", self.postgres, "-m", "immediate", "stop")
        if self.missing:
            print("  left out, not installed: " + ", ".join(sorted(set(self.missing))))

    # Processes

    def spawn(self, *command, **options):
        log = open(f"{self.folder}/{os.path.basename(command[0])}.log", "ab")
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
            env=self.environment, **options)
        self.started.append(process)
        return process

    def end(self, process):
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process in self.started:
            self.started.remove(process)

    @contextlib.contextmanager
    def workers(self, count, *command):
        running = [self.spawn(*command) for _ in range(count)]
        try:
            yield running
        finally:
            for process in running:
                self.end(process)

    def has(self, program, package=None):
        found = shutil.which(program) is not None
        if not found:
            self.missing.append(package or program)
        return found

    def redis(self):
        import redis

        if not getattr(self, "redis_process", None):
            self.redis_process = self.spawn(
                "redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1", "--dir", self.folder,
                "--appendonly", "yes", "--appendfsync", "always", "--save", "")
        client = redis.Redis(port=self.redis_port)

        def answers():
            with contextlib.suppress(redis.ConnectionError):
                return client.ping()

        until(answers, "Redis")
        client.flushall()
        return client

    @contextlib.contextmanager
    def beanstalkd(self):
        import greenstalk

        folder = f"{self.folder}/beanstalkd"
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        process = self.spawn("beanstalkd", "-l", "127.0.0.1", "-p", str(self.beanstalk_port), "-b", folder, "-f0")
        try:
            yield until(lambda: greenstalk.Client(("127.0.0.1", self.beanstalk_port)), "beanstalkd"), process
        finally:
            self.end(process)

    def as_postgres(self, *command):
        switch = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
        done = subprocess.run([*switch, *command], cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              stdin=subprocess.DEVNULL, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stdout[-300:]}")

    def database(self):
        """A URL; a cluster of our own, with its defaults."""
        if not self.postgres:
            self.postgres_bin = sorted(
                os.path.dirname(os.path.join(top, "initdb")) for top, _, files in os.walk("/usr/lib/postgresql")
                if "initdb" in files)[-1]
            self.postgres_port = port()
            self.postgres_socket = "/tmp"
            folder = f"{self.folder}/postgresql"
            os.makedirs(folder)
            if os.geteuid() == 0:
                shutil.chown(folder, "postgres", "postgres")
            self.as_postgres(f"{self.postgres_bin}/initdb", "-D", folder, "-A", "trust", "-U", "bench")
            self.as_postgres(
                f"{self.postgres_bin}/pg_ctl", "-D", folder, "-w", "-l", f"{folder}/log", "-o",
                f"-p {self.postgres_port} -c listen_addresses=127.0.0.1 -k {folder}", "start")
            self.postgres = folder
        return f"postgresql://bench@127.0.0.1:{self.postgres_port}/postgres"

    # What they do

    def contestants(self, kind, count):
        found = {}
        for name, need, body in getattr(self, "all_" + kind.replace("-", "_"))(count):
            if all(self.has(program) for program in need):
                found[name] = body
        return found

    def timed(self, count, body):
        began = time.monotonic()
        body()
        return count / (time.monotonic() - began)

    def all_submit(self, count):
        def beanstalk():
            with self.beanstalkd() as (client, _):
                return self.timed(count, lambda: [client.put("x" * 80) for _ in range(count)])

        def redis_list():
            client = self.redis()
            return self.timed(count, lambda: [client.rpush("q", "x" * 80) for _ in range(count)])

        def huey_sqlite():
            from huey import SqliteHuey

            path = f"{self.folder}/huey.db"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            huey = SqliteHuey(filename=path, fsync=True)
            task = huey.task()(lambda n: n)
            return self.timed(count // 4, lambda: [task(n) for n in range(count // 4)])

        def procrastinate():
            import procrastinate

            app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=self.database()))
            with app.open():
                with contextlib.suppress(Exception):
                    app.schema_manager.apply_schema()
                task = app.task(name="noop")(lambda n: n)
                return self.timed(count // 4, lambda: [task.defer(n=n) for n in range(count // 4)])

        return [
            ("beanstalkd-f0", ["beanstalkd"], beanstalk), ("redis-always", ["redis-server"], redis_list),
            ("huey-sqlite", [], huey_sqlite), ("procrastinate", ["pg_ctlcluster"], procrastinate),
        ]

    def length_timed(self, length, count, workers):
        """From the first job taken to the last."""
        with workers:
            until(lambda: length() < count, "the first job", 60, 0.001)
            left, began = length(), time.monotonic()
            until(lambda: length() == 0, "the last job", 120, 0.002)
            return left / (time.monotonic() - began)

    def all_drain(self, count):
        python = sys.executable

        def beanstalk():
            with self.beanstalkd() as (client, _):
                for n in range(count):
                    client.put(str(n))

                def length():
                    found = client.stats_tube("default")
                    return found["current-jobs-ready"] + found["current-jobs-reserved"]

                return self.length_timed(
                    length, count, self.workers(4, python, "beanstalk_worker.py", str(self.beanstalk_port)))

        def rq():
            from rq import Queue

            client, few = self.redis(), count // 10
            queue = Queue("bench", connection=client)
            import tasks

            queue.enqueue_many([Queue.prepare_data(tasks.noop, (n,), result_ttl=0) for n in range(few)])
            url = f"redis://127.0.0.1:{self.redis_port}"
            return self.length_timed(
                lambda: client.llen("rq:queue:bench"), few,
                self.workers(4, python, "-m", "rq.cli", "worker", "-u", url, "--burst", "-q", "bench"))

        def huey():
            client = self.redis()
            import huey_app

            for n in range(count):
                huey_app.huey_noop(n)
            return self.length_timed(
                lambda: client.llen("huey.redis.bench"), count,
                self.workers(1, python, "-m", "huey.bin.huey_consumer", "huey_app.huey", "-w", "4", "-k", "process", "-q"))

        def celery():
            client, few = self.redis(), count // 4
            import celery_app
            import redis

            client = redis.Redis(port=self.redis_port, db=1)
            for n in range(few):
                celery_app.celery_noop.delay(n)
            # Prefetched messages are in another key until they are acknowledged.
            return self.length_timed(
                lambda: client.llen("celery") + client.hlen("unacked"), few,
                self.workers(1, python, "-m", "celery", "-A", "celery_app", "worker", "-c", "4", "-l", "ERROR"))

        def pgqueuer():
            import asyncio

            import asyncpg
            from pgqueuer.db import AsyncpgDriver
            from pgqueuer.queries import Queries

            url, few = self.database(), count // 4

            async def prepare():
                connection = await asyncpg.connect(url)
                queries = Queries(AsyncpgDriver(connection))
                with contextlib.suppress(Exception):
                    await queries.install()
                await connection.execute("truncate pgqueuer")
                await queries.enqueue(["noop"] * few, [None] * few, [0] * few)
                await connection.close()

            asyncio.run(prepare())
            import psycopg

            with psycopg.connect(url, autocommit=True) as connection:
                return self.length_timed(
                    lambda: connection.execute("select count(*) from pgqueuer").fetchone()[0], few,
                    self.workers(4, python, "pgqueuer_worker.py", url))

        return [
            ("beanstalkd-f0", ["beanstalkd"], beanstalk), ("rq", ["redis-server"], rq), ("huey", ["redis-server"], huey),
            ("celery", ["redis-server"], celery), ("pgqueuer", ["pg_ctlcluster"], pgqueuer),
        ]

    def all_exec(self, count):
        def xargs():
            return self.timed(count, lambda: subprocess.run(
                ["xargs", "-P4", "-n1", "/bin/true"], input="x\n" * count, text=True, check=True))

        def spooler():
            few = count // 4
            with self.spooler(4) as tsp:
                began = time.monotonic()
                for _ in range(few):
                    tsp("-n", "/bin/true")
                until(lambda: "queued" not in tsp() and "running" not in tsp(), "task-spooler", 60, 0.05)
                return few / (time.monotonic() - began)

        def nq():
            few, folders = count // 10, [f"{self.folder}/nq-{n}" for n in range(4)]
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)
                os.makedirs(folder)
            began = time.monotonic()
            for number in range(few):
                subprocess.run(["nq", "/bin/true"], env=dict(os.environ, NQDIR=folders[number % 4]), check=True,
                               stdout=subprocess.DEVNULL)
            for folder in folders:
                subprocess.run(["nq", "-w"], env=dict(os.environ, NQDIR=folder), stdout=subprocess.DEVNULL)
            return few / (time.monotonic() - began)

        return [("xargs-P4", ["xargs"], xargs), ("task-spooler", ["tsp"], spooler), ("nq", ["nq"], nq)]

    @contextlib.contextmanager
    def spooler(self, slots):
        environment = dict(os.environ, TS_SOCKET=f"{self.folder}/tsp.socket", TS_MAXFINISHED="10", TMPDIR=self.folder)

        def tsp(*arguments):
            return subprocess.run(["tsp", *arguments], env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout

        tsp("-S", str(slots))
        try:
            yield tsp
        finally:
            tsp("-K")

    def shares(self, times):
        times.sort()
        return {".p50": statistics.median(times) * 1000, ".p99": times[len(times) * 99 // 100] * 1000}

    def stamps(self, count, submit):
        """Seconds from the submission to the handler, one at a time."""
        path = f"{self.folder}/stamps"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        sent = {}
        for number in range(count + 1):
            time.sleep(0.004)
            sent[f"n-{number}"] = time.monotonic()
            submit(path, f"n-{number}")
            until(lambda: f"n-{number} ".encode() in open(path, "rb").read()[-200:], f"n-{number}", 30, 0.0005)
        with open(path) as file:
            seen = dict(line.split() for line in file)
        return self.shares([float(seen[name]) - at for name, at in sent.items() if name != "n-0"])

    def all_latency(self, count):
        python = sys.executable

        def beanstalk():
            with self.beanstalkd() as (client, _), self.workers(
                    1, python, "beanstalk_worker.py", str(self.beanstalk_port), f"{self.folder}/stamps"):
                return self.stamps(count, lambda path, name: client.put(name))

        def huey():
            self.redis()
            import huey_app

            with self.workers(1, python, "-m", "huey.bin.huey_consumer", "huey_app.huey", "-w", "1", "-k", "process", "-q"):
                return self.stamps(count // 4, lambda path, name: huey_app.huey_stamp(path, name))

        def celery():
            self.redis()
            import celery_app

            with self.workers(1, python, "-m", "celery", "-A", "celery_app", "worker", "-c", "1", "-l", "ERROR"):
                return self.stamps(count // 4, lambda path, name: celery_app.celery_stamp.delay(path, name))

        return [("beanstalkd-f0", ["beanstalkd"], beanstalk), ("huey", ["redis-server"], huey),
                ("celery", ["redis-server"], celery)]

    def all_latency_exec(self, count):
        limits = os.path.join(os.path.dirname(self.folder), "limits")

        def spooler():
            with self.spooler(1) as tsp:
                return self.stamps(count, lambda path, name: tsp("-n", "env", f"JOBSPOOL_ID={name}", limits, "once", path))

        def nq():
            folder = f"{self.folder}/nq"
            os.makedirs(folder, exist_ok=True)

            def submit(path, name):
                subprocess.run(["nq", "-q", limits, "once", path], check=True,
                               env=dict(os.environ, NQDIR=folder, JOBSPOOL_ID=name))

            return self.stamps(count, submit)

        return [("task-spooler", ["tsp"], spooler), ("nq", ["nq"], nq)]

    def all_memory(self, _):
        def beanstalk():
            with self.beanstalkd() as (_, process):
                return resident(process.pid)

        def redis_server():
            self.redis()
            return resident(self.redis_process.pid)

        def rq_worker():
            self.redis()
            url = f"redis://127.0.0.1:{self.redis_port}"
            with self.workers(1, sys.executable, "-m", "rq.cli", "worker", "-u", url, "-q", "bench") as (process,):
                time.sleep(3)
                return resident(process.pid)

        return [("beanstalkd", ["beanstalkd"], beanstalk), ("redis", ["redis-server"], redis_server),
                ("rq-worker", ["redis-server"], rq_worker)]
