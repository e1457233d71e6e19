#!/usr/bin/env python3
"""Runs spoolfuzz: every target, each in a process of its own with bounded memory, for FUZZ_SECONDS in all. What ended one, or
what it read wrongly, is kept in .build/fuzz and shown with the command that repeats it. JSON is judged a second time, by
Python's parser. SEED (a new one each time) and TARGETS (all) may be set in the environment."""

import json
import os
import random
import resource
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "EndToEnd"))
from daemon import TOP, check, finish, program, say  # noqa: E402

SECONDS = float(os.environ.get("FUZZ_SECONDS", "20"))
SEED = int(os.environ.get("SEED", random.randrange(1 << 32)))
BINARY = program("spoolfuzz")
KEPT = os.path.join(TOP, ".build", "fuzz")
HERE = os.path.dirname(os.path.abspath(__file__))


def bounded():
    # A swift program maps much that it does not use.
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def no_constant(word):
    raise ValueError(word)


def is_json(data):
    """Strict RFC 8259, but for depth: None where Python's own limits say no."""
    try:
        text = data.decode("utf-8")
        if text.startswith("\ufeff"):
            return False
        json.loads(text, parse_constant=no_constant)
        return True
    except RecursionError:
        return None
    except ValueError:
        return False


def judge(path):
    """Compares the verdicts on JSON; ours has a limit of depth, Python's has none here."""
    # Deeper than ours, and not so deep that the C of it runs out of stack.
    sys.setrecursionlimit(5000)
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)
    counts = {True: 0, False: 0}
    with open(path) as file:
        for line in file:
            word, _, digits = line.strip().partition(" ")
            data = bytes.fromhex(digits)
            theirs = is_json(data)
            if theirs is None or (theirs and data.count(b"[") + data.count(b"{") > 512):
                continue
            counts[theirs] += 1
            if theirs != (word == "ok"):
                check(False, f"Python says {theirs}, we say {word}: {data[:200]!r}")
                return
    check(counts[True] > 10 and counts[False] > 10, f"Python agrees on {counts[True]} texts that are JSON and {counts[False]} that are not")


def run(target, seconds):
    kept = os.path.join(KEPT, f"{target}.input")
    told = os.path.join(KEPT, f"{target}.told")
    command = [BINARY, target, "--seed", str(SEED), "--seconds", f"{seconds:g}", "--keep", kept]
    corpus = os.path.join(HERE, "corpus", target)
    if target == "zone":
        corpus = zones()
    command += ["--corpus", corpus]
    if target == "json":
        command += ["--tell", told]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds + 120, preexec_fn=bounded)
        code, text = done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as error:
        code, text = None, (error.output or b"").decode(errors="replace") + "it does not end"
    for line in text.splitlines():
        if line.startswith("scratch "):
            subprocess.run(["rm", "-rf", line.split()[1]])
    last = [line for line in text.splitlines() if not line.startswith("scratch ")]
    if code == 0:
        say(last[-1])
        if target == "json":
            judge(told)
            os.unlink(told)
        return
    with open(kept, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        data = file.read(size)
    name = os.path.join(KEPT, f"{target}.failed")
    with open(name, "wb") as file:
        file.write(data)
    print("\n".join(last[:40]))
    print(f"    input ({len(data)} bytes): {data[:400]!r}")
    check(False, f"{target} ended with {code}; repeat: {BINARY} {target} --replay {name}")


def zones():
    """Zone files of the system, which need not be kept here."""
    folder = os.path.join(KEPT, "zones")
    os.makedirs(folder, exist_ok=True)
    for name in ("UTC", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Tokyo"):
        try:
            with open(os.path.join("/usr/share/zoneinfo", name), "rb") as source:
                with open(os.path.join(folder, name.replace("/", "-")), "wb") as copy:
                    copy.write(source.read())
        except OSError:
            pass
    return folder


def main():
    os.makedirs(KEPT, exist_ok=True)
    targets = subprocess.run([BINARY, "--list"], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    chosen = os.environ.get("TARGETS", "").split() or targets
    for target in chosen:
        run(target, SECONDS / len(chosen))
    finish()


main()
