#!/usr/bin/env python3
"""Foreign test suites of what we parse, fetched when this runs and kept nowhere: the JSON Schema test suite (in the sources
of jsonschema on PyPI), every expression that croniter's own tests ask about, and JSONTestSuite with json.org's checker (in
the sources of orjson). States the counts, and what we refuse on purpose."""

import glob
import json
import lzma
import os
import re
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "EndToEnd"))
from daemon import TOP, check, finish, program, say, scratch, skip  # noqa: E402

WORK = scratch()
SPOOLFUZZ = program("spoolfuzz")
sys.path.insert(0, os.path.join(TOP, ".build", "python"))


def fetch(name, version, backend=None):
    """The source of a package, by pip. It asks the package's backend for its name first: where that would be a compiler for
    another language, one that knows just the name takes its place."""
    options, environment = [], dict(os.environ)
    if backend:
        stand_in = os.path.join(WORK, "backend")
        os.makedirs(stand_in, exist_ok=True)
        with open(os.path.join(stand_in, f"{backend}.py"), "w") as file:
            file.write(BACKEND)
        options = ["--no-build-isolation"]
        environment["PYTHONPATH"] = stand_in
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", name, f"{name}=={version}", "-d", WORK, *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, env=environment,
    )
    found = glob.glob(os.path.join(WORK, f"{name}-*.tar.gz"))
    if done.returncode != 0 or not found:
        skip(f"pip cannot fetch {name} {version}: {done.stdout.decode(errors='replace')[-300:]}")
    with tarfile.open(found[0]) as archive:
        archive.extractall(WORK, filter="data") if hasattr(tarfile, "data_filter") else archive.extractall(WORK)
    return os.path.join(WORK, f"{name}-{version}")


BACKEND = '''
import os, shutil
from email.parser import Parser
def get_requires_for_build_wheel(settings=None):
    return []
def prepare_metadata_for_build_wheel(folder, settings=None):
    with open("PKG-INFO") as file:
        told = Parser().parse(file)
    name = f"{told['Name']}-{told['Version']}.dist-info"
    os.makedirs(os.path.join(folder, name))
    shutil.copy("PKG-INFO", os.path.join(folder, name, "METADATA"))
    return name
'''


def ask(kind, lines):
    done = subprocess.run([SPOOLFUZZ, "--answer", kind], input="\n".join(lines) + "\n", stdout=subprocess.PIPE, text=True, timeout=600)
    # Not splitlines(), which takes some characters of an answer for ends of lines.
    answers = done.stdout.split("\n")[:-1]
    check(done.returncode == 0 and len(answers) == len(lines), f"{len(answers)} answers about {kind} to {len(lines)} questions")
    return answers


# JSON Schema

def schema_suite():
    folder = os.path.join(fetch("jsonschema", "4.26.0"), "json", "tests", "draft2020-12")
    questions, wanted = [], []
    for path in sorted(glob.glob(os.path.join(folder, "*.json")) + glob.glob(os.path.join(folder, "optional", "format", "*.json"))):
        with open(path) as file:
            groups = json.load(file)
        optional = "optional" in path
        for group in groups:
            schema = group["schema"]
            for test in group["tests"]:
                questions.append(json.dumps(schema) + "\t" + json.dumps(test["data"]))
                wanted.append((os.path.relpath(path, folder), group["description"], test["description"], test["valid"], optional))
    counts = {"right": 0, "refused": 0}
    wrong, refused = [], {}
    for answer, (path, group, test, valid, optional) in zip(ask("schema", questions), wanted):
        if answer.startswith("refused"):
            counts["refused"] += 1
            refused.setdefault(re.sub(r"\"[^\"]*\"|'[^']*'", "…", answer.split(": ", 1)[-1])[:90], []).append(path)
        elif answer.startswith("fits") == valid:
            counts["right"] += 1
        else:
            wrong.append(f"{path}: {group}: {test}: {answer}")
    for text in wrong[:40]:
        print("      " + text)
    for reason, paths in sorted(refused.items(), key=lambda item: -len(item[1]))[:12]:
        print(f"      refused {len(paths)}: {reason} ({', '.join(sorted(set(paths))[:4])})")
    known = [text for text in wrong if any(text.startswith(path) and words in text for path, words in KNOWN_OTHERWISE)]
    say(
        f"JSON Schema 2020-12 suite, formats included: {len(questions)} tests, {counts['right']} as it says, "
        f"{counts['refused']} schemas refused when they are loaded, {len(known)} known to differ, {len(wrong) - len(known)} wrong"
    )
    check(len(questions) > 1000 and len(wrong) == len(known), "no schema of the suite judges otherwise than it says")


# What differs from the suite, by file and words, and is meant to: a format that is named is checked, always; and a schema that
# says it is written in a vocabulary of its own is read as any other.
KNOWN_OTHERWISE = {("format.json", "is only an annotation by default"), ("vocabulary.json", "custom metaschema with with no validation")}


# Cron

def cron_suite():
    folder = os.path.join(fetch("croniter", "7.0.0"), "src")
    recorder = os.path.join(WORK, "record.py")
    asked = os.path.join(WORK, "asked")
    with open(recorder, "w") as file:
        file.write(RECORDER)
    # What its tests import besides.
    needs = os.path.join(WORK, "needs")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--target", needs, "pytz", "tzlocal", "python-dateutil"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
    )
    if done.returncode != 0:
        skip(f"pip cannot fetch what croniter's tests import: {done.stdout.decode(errors='replace')[-300:]}")
    subprocess.run(
        [sys.executable, recorder, folder, asked], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=600,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([folder, os.path.join(TOP, ".build", "python"), needs])},
    )
    with open(asked) as file:
        pairs = sorted({tuple(line.rstrip("\n").split("\t")) for line in file})
    check(len(pairs) > 300, f"croniter's own tests ask about {len(pairs)} expressions and times")
    lines = [f"{expression}\t{start}\t5" for expression, start in pairs]
    theirs = subprocess.run(
        [sys.executable, os.path.join(TOP, "Tests", "Peers", "cron_firings.py")], input="\n".join(lines) + "\n",
        stdout=subprocess.PIPE, text=True, timeout=600,
    ).stdout.splitlines()
    counts = {"same": 0, "both refuse": 0, "only we refuse": 0, "only croniter refuses": 0, "known to differ": 0}
    wrong, ours_only = [], set()
    for (expression, start), mine, their in zip(pairs, ask("cron", lines), theirs):
        if mine.startswith("refused") and their.startswith("refused"):
            counts["both refuse"] += 1
        elif mine.startswith("refused"):
            counts["only we refuse"] += 1
            ours_only.add(expression)
        elif their.startswith("refused"):
            counts["only croniter refuses"] += 1
        elif mine == their:
            counts["same"] += 1
        elif KNOWN_CRON.search(expression):
            counts["known to differ"] += 1
        else:
            wrong.append(f"'{expression}' after {start}: {mine} instead of {their}")
    for text in wrong[:20]:
        print("      " + text)
    print("      only we refuse: " + "  ".join(sorted(ours_only)[:60]))
    say("croniter's tests: " + ", ".join(f"{count} {name}" for name, count in counts.items()) + f", {len(wrong)} otherwise")
    check(not wrong, "no expression of croniter's tests fires at other times")
    strange = [text for text in ours_only if not re.search(r"[a-zA-Z#?]|^\S+( \S+){6}$|^(\S+ ){1,3}\S+$", text)]
    print("      of these, of plain numbers: " + "  ".join(strange[:20]))


# croniter takes a range with equal ends (12-12) for all values, and Sunday as the 7 of a step (7/5) for 0; for cron(8) and us
# the first is one value, and the second is Sundays.
KNOWN_CRON = re.compile(r"(?<!\w)(\w+)-\1(?!\w)|(?<!\S)7/\d+$", re.I)

# Runs croniter's tests and notes what they ask, in UTC or without a zone.
RECORDER = '''
import sys, unittest
from datetime import datetime, timezone
import importlib
module = importlib.import_module("croniter.croniter")
folder, path = sys.argv[1:3]
out = open(path, "w")
made = module.croniter.__init__
def init(self, expr_format, start_time=None, *rest, **more):
    made(self, expr_format, start_time, *rest, **more)
    note(expr_format, start_time)
def note(text, start):
    try:
        if start is None or "\\t" in text or "\\n" in text:
            return
        if isinstance(start, datetime):
            start = start.replace(tzinfo=timezone.utc) if start.tzinfo is None else start
            start = start.timestamp()
        if 0 <= start < 4e9:
            out.write(f"{text}\\t{int(start)}\\n")
            out.flush()
    except Exception:
        pass
module.croniter.__init__ = init
suite = unittest.defaultTestLoader.discover(folder + "/croniter/tests", top_level_dir=folder)
unittest.TextTestRunner(verbosity=0).run(suite)
'''


# JSON

def json_suite():
    """JSONTestSuite, which names each text by what RFC 8259 says of it: y_ (JSON), n_ (none), i_ (as you like); and the
    texts of json.org's checker. Both lie in orjson's sources."""
    folder = os.path.join(fetch("orjson", "3.10.7", backend="maturin"), "data")
    questions, wanted = [], []
    for path in sorted(glob.glob(os.path.join(folder, "parsing", "*")) + glob.glob(os.path.join(folder, "jsonchecker", "*"))):
        name = os.path.basename(path)
        # fail01 is a bare string, which RFC 8259 allows; fail18 is nested 20 deep, which is a matter of limits.
        if name.split(".")[0] in ("fail01", "fail18"):
            continue
        with (lzma.open(path) if path.endswith(".xz") else open(path, "rb")) as file:
            questions.append(file.read().hex())
        wanted.append((name, {"y": True, "p": True, "n": False, "f": False}.get(name[0])))
    wrong, free = [], {True: 0, False: 0}
    for answer, (name, good) in zip(ask("json", questions), wanted):
        is_good = not answer.startswith("no")
        if good is None:
            free[is_good] += 1
        elif is_good != good:
            wrong.append(f"{name}: {answer}")
    for text in wrong:
        print("      " + text)
    say(
        f"JSONTestSuite and JSON_checker: {len(questions)} texts, {len(questions) - len(wrong) - sum(free.values())} as they say, "
        f"{sum(free.values())} free ({free[True]} taken, {free[False]} refused), {len(wrong)} otherwise"
    )
    check(len(questions) > 300 and not wrong, "no text of them is judged otherwise")


schema_suite()
cron_suite()
json_suite()
finish()
