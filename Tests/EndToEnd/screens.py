#!/usr/bin/env python3
"""What people look at: 'top' on a terminal of its own (keys, resizing, leaving it as it was), 'watch', 'log -f', 'wait' and
progress bars; each follows at once and does nothing while nothing happens."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import daemon
from daemon import Spool, check, finish, program, same, say, until


class Terminal:
    """A command on a pseudo-terminal, and what it has drawn."""

    def __init__(self, spool, *arguments, columns=100, rows=30):
        self.controller, end = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(end)
        self.process = subprocess.Popen(
            [program("jobspool"), *arguments], stdin=end, stdout=end, stderr=end, start_new_session=True, cwd="/",
            env={**os.environ, "JOBSPOOL_DIR": spool.path, "TERM": "xterm-256color"},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.end = end
        self.text = ""

    def resize(self, columns, rows):
        fcntl.ioctl(self.controller, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds=0.05):
        while select.select([self.controller], [], [], seconds)[0]:
            try:
                self.text += os.read(self.controller, 65536).decode(errors="replace")
            except OSError:
                return self.text
            seconds = 0.01
        return self.text

    def shows(self, words, what=None):
        return until(lambda: words in plain(self.read()), lambda: f"{what or words}: {plain(self.text)[-1500:]!r}")

    def picture(self):
        """The newest whole picture of top, as lines."""
        pictures = self.read().split("\x1b[H")
        return [plain(line).rstrip("\r") for line in pictures[-1].split("\n")] if len(pictures) > 1 else []

    def type(self, keys):
        os.write(self.controller, keys.encode())

    def exit(self):
        until(lambda: self.read() is not None and self.process.poll() is not None, "it ends")
        return self.process.returncode


def plain(text):
    return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", text)


def switches(pid):
    """How often the process has been given a processor."""
    with open(f"/proc/{pid}/status") as file:
        lines = dict(line.split(":", 1) for line in file)
    return int(lines["voluntary_ctxt_switches"]) + int(lines["nonvoluntary_ctxt_switches"])


def quiet(pid, what, most=12, seconds=3):
    before = switches(pid)
    time.sleep(seconds)
    count = switches(pid) - before
    say(f"{what}: woke {count} times in {seconds} s")
    check(count <= most, f"{what} does nothing while nothing happens: woke {count} times in {seconds} s")


spool = Spool(config="max_jobs = 3\n")
spool.handler("steps", """
echo '{"progress":40,"stage":"select","message":"of two"}' >&3
echo first line >&2
until [ -e "$JOBSPOOL_DIR/go" ]; do sleep 0.02; done
echo '{"progress":90,"stage":"write"}' >&3
echo second line >&2
until [ -e "$JOBSPOOL_DIR/end" ]; do sleep 0.02; done
echo 1
""")
spool.handler("quick", "cat", "concurrency = 2\n")
spool.handler("fail", "exit 65")

command = [program("jobspool"), "--spool", spool.path]


def follow(*arguments):
    return subprocess.Popen([*command, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd="/")


buffers = {}


def line(process, what, patience=None):
    """The next line of output."""
    fd = process.stdout.fileno()

    def more():
        if "\n" not in buffers.setdefault(fd, "") and select.select([fd], [], [], 0.05)[0]:
            buffers[fd] += os.read(fd, 65536).decode()
        return "\n" in buffers[fd]

    if not until(more, what, patience):
        return ""
    text, buffers[fd] = buffers[fd].split("\n", 1)
    return text


with spool:
    spool.start()
    spool.drop("slow", {"type": "steps"})
    until(lambda: spool.status().get("running"), "the job runs")

    top = Terminal(spool, "top")
    top.shows("slow")
    top.shows("40 %")
    top.shows("select")
    check("\x1b[?1049h" in top.text and "\x1b[?25l" in top.text, "top takes the other screen and hides the cursor")
    same(termios.tcgetattr(top.end)[3] & (termios.ICANON | termios.ECHO), 0, "keys come one by one, without echo")
    check(all(len(text) <= 100 for text in top.picture()), "no line is wider than the terminal")
    for number in range(30):
        spool.drop(f"q{number}", {"type": "quick"})
    for number in range(3):
        spool.drop(f"f{number}", {"type": "fail"})
    until(lambda: spool.count("done") == 30 and spool.count("dead") == 3, "the quick ones end")
    top.shows("done 30")
    top.shows("dead 3")
    top.shows("30 done", "the ends of the last minutes")
    open(spool.at("go"), "w").close()
    top.shows("90 %")

    top.resize(50, 12)
    os.killpg(top.process.pid, signal.SIGWINCH)
    until(lambda: top.picture() and max(map(len, top.picture())) <= 50 and len(top.picture()) <= 12,
          lambda: f"the picture fits 50 columns: {top.picture()}")
    top.type("p")
    top.shows("held still")
    spool.drop("later", {"type": "quick"})
    until(lambda: spool.count("done") == 31, "the next job ends")
    top.text = ""
    top.read(0.8)
    check("done 31" not in plain(top.text), "a picture held still stays")
    top.type("p")
    top.shows("done 31")
    top.type("q")
    same(top.exit(), 0, "q ends it")
    check("\x1b[?1049l" in top.text and "\x1b[?25h" in top.text, "screen and cursor are as they were")
    same(termios.tcgetattr(top.end)[3], top.before[3], "the terminal's settings are as they were")

    interrupted = Terminal(spool, "top")
    interrupted.shows("slow")
    interrupted.type("\x03")
    same(interrupted.exit(), 0, "so does Ctrl-C")
    check("\x1b[?1049l" in interrupted.text, "and leaves the screen")
    piped = subprocess.run([*command, "top"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    check(piped.returncode == 0 and "slow" in piped.stdout and "\x1b" not in piped.stdout,
          f"without a terminal top prints one picture: {piped.stdout[:300]!r}{piped.stderr}")

    # watch, log -f and wait beside each other.
    watch = follow("watch", "--type", "quick", "--state", "done")
    raw = follow("watch", "--json", "--type", "quick")
    log = follow("log", "-f", "slow")
    wait = follow("wait", "slow")
    bar = Terminal(spool, "wait", "slow")
    check(line(log, "the log").startswith("--- attempt 1 "), "log -f shows what is there")
    same([line(log, "the log"), line(log, "the log")], ["first line", "second line"], "and what comes")
    bar.shows("90 %")
    bar.shows("█")
    time.sleep(1)
    for process, what in ((watch, "watch"), (log, "log -f"), (wait, "wait")):
        quiet(process.pid, what, seconds=2)
    started = time.monotonic()
    spool.drop("seen", {"type": "quick"})
    got = line(watch, "watch shows the end")
    took = time.monotonic() - started
    check(" finished seen quick" in got and "→ done" in got, f"watch says what happened: {got!r}")
    say(f"watch: a job's end is shown {took * 1000:.0f} ms after the drop")
    check(took < 2, "without waiting for its next look, which is 5 s away")
    events = []
    while not events or events[-1].get("event") != "finished":
        events.append(json.loads(line(raw, "watch --json shows it") or '{"event":"finished"}'))
    same([event["event"] for event in events], ["submitted", "claimed", "finished"], "watch --json gives the log's lines")
    open(spool.at("end"), "w").close()
    same(line(wait, "wait ends"), "slow done", "wait tells of the end")
    same(log.wait(20), 0, "log -f ends with the job")
    same(wait.wait(20), 0, "wait ends with 0")
    same(bar.exit(), 0, "wait at a terminal ends with 0")
    check(plain(bar.text).rstrip().endswith("slow done"), f"and its bar is gone: {bar.text[-200:]!r}")

    idle = Terminal(spool, "top")
    idle.shows("done 33")
    time.sleep(1)
    quiet(idle.process.pid, "top", seconds=3)
    idle.type("q")
    same(idle.exit(), 0, "top ends")
    for process in (watch, raw):
        process.send_signal(signal.SIGINT)
        process.wait(20)

    # A bar on a terminal, none elsewhere.
    many = os.path.join(daemon.scratch(), "many.jsonl")
    with open(many, "w") as file:
        for number in range(3000):
            file.write('{"type":"quick","delay":"1h"}\n')
    submit = Terminal(spool, "submit", "--bulk", many)
    same(submit.exit(), 0, "submit --bulk")
    check("submitting" in submit.text and "of 3,000" in submit.text, f"a bar is shown: {submit.text[:200]!r}")
    fsck = Terminal(spool, "fsck")
    same(fsck.exit(), 0, "fsck")
    check("checking" in fsck.text, f"fsck shows a bar: {fsck.text[:200]!r}")
    silent = subprocess.run([*command, "fsck"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    same((silent.returncode, silent.stderr), (0, ""), "without a terminal nothing is said on standard error")
    same(spool.stop(), 0, "the daemon stops")

finish()
