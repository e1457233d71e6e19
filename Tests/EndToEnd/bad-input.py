#!/usr/bin/env python3
"""Whatever is dropped, the daemon goes on: bad input ends in dead/ with its reason and place, or is left and reported; nothing
outside the spool is read or changed by it; and a good job dropped right after runs at once."""

import os
import socket
import stat
import time

from daemon import Spool, check, finish, same, say, scratch, skip, until

WORST = []


def good_job(spool, after):
    """A good job dropped now is done in no time: nothing waits behind the bad one."""
    id_ = f"good-after-{after}"
    began = time.monotonic()
    spool.drop(id_, {"type": "echo"})
    spool.wait(id_)
    WORST.append((time.monotonic() - began, after))


EXPECTED = []


def refused(spool, id_, data, code, place=None, key=None, whole=True):
    """Drops the bytes; they have to end in dead/ with this reason, and beside it, untouched, as ID.bad. What does not parse
    is read once more after a second, so all are looked at together by `look`."""
    if data is not None:
        spool.drop(id_, data)
    good_job(spool, id_)
    EXPECTED.append((id_, data, code, place, key, whole))


def look(spool):
    for id_, data, code, place, key, whole in EXPECTED:
        record = spool.wait(id_, "dead")
        # Its file follows a moment after the record.
        until(lambda: spool.states(id_) == ["dead"], lambda: f"{id_} to be in dead/ alone: {spool.states(id_)}")
        error = record.get("error", {})
        same((record.get("outcome"), error.get("code")), ("rejected", code), f"{id_}: {error.get('message')}")
        details = error.get("details", {})
        if place:
            same((details.get("line"), details.get("column")), place, f"{id_}: line and column")
        if key:
            same(details.get("key"), key, f"{id_}: key")
        if whole and data is not None:
            with open(spool.at("dead", id_ + ".bad"), "rb") as file:
                check(file.read() == data, f"dead/{id_}.bad is what was dropped")
        same(spool.states(id_), ["dead"], f"{id_} is in")
    EXPECTED.clear()


with Spool(config='max_jobs = 4\nmax_job_bytes = "64K"\nrescan = "1s"') as spool:
    spool.handler("echo", "cat", 'concurrency = 4')
    # Something outside that nothing may touch.
    outside = os.path.join(scratch(), "outside")
    os.mkdir(outside)
    secret = os.path.join(outside, "secret.json")
    with open(secret, "w") as file:
        file.write('{"type":"echo","payload":"secret"}')
    os.utime(secret, (1_000_000_000, 1_000_000_000))
    # Its inode's change time goes with every link, so that is looked at only where nobody links.
    before = os.stat(secret)
    spool.start()

    # What is no JSON, or not the JSON of RFC 8259.
    refused(spool, "empty", b"", "empty")
    refused(spool, "blank", b" \n\n", "bad_json", (3, 1))
    refused(spool, "words", b"hello\n", "bad_json", (1, 1))
    refused(spool, "half", b'{"type":"echo","pay', "bad_json")
    refused(spool, "comma", b'{"type":"echo",}', "bad_json", (1, 16))
    refused(spool, "array", b'[{"type":"echo"}]', "bad_json")
    refused(spool, "text", b'"echo"', "bad_json")
    refused(spool, "two", b'{"type":"echo"}{"type":"echo"}', "bad_json", (1, 16))
    refused(spool, "third-line", b'{"type":"echo",\n\n  "payload": nil}', "bad_json", (3, 14))
    refused(spool, "bom", b'\xef\xbb\xbf{"type":"echo"}', "bad_json")
    refused(spool, "utf16", '{"type":"echo"}'.encode("utf-16"), "bad_json")
    refused(spool, "utf16-bare", '{"type":"echo"}'.encode("utf-16-le"), "bad_json")
    refused(spool, "latin1", '{"type":"echo","tags":["\xe4"]}'.encode("latin-1"), "bad_json")
    refused(spool, "latin1-payload", '{"type":"echo","payload":"\xe4"}'.encode("latin-1"), "bad_json")
    refused(spool, "nul", b'{"type":"echo"}\x00', "bad_json")
    refused(spool, "nuls", b"\x00" * 4096, "bad_json")
    refused(spool, "deep", b'{"type":"echo","payload":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "bad_json")
    refused(spool, "deep-open", b'{"payload":' + b'{"a":' * 10_000, "bad_json")
    refused(spool, "number", b'{"type":"echo","payload":01}', "bad_json")
    refused(spool, "control", b'{"type":"echo","payload":"a\nb"}', "bad_json")
    refused(spool, "binary", os.urandom(5000), "bad_json")
    refused(spool, "twice", b'{"type":"echo","type":"echo"}', "bad_json")
    refused(spool, "twice-escaped", b'{"type":"echo","\\u0074ype":"echo"}', "bad_json")
    refused(spool, "large", b'{"type":"echo","payload":"' + b"a" * 70_000 + b'"}', "too_large")
    with open(spool.at("tmp", "huge"), "wb") as file:
        file.truncate(1 << 40)
    os.rename(spool.at("tmp", "huge"), spool.at("new", "huge.json"))
    refused(spool, "huge", None, "too_large")

    # What is JSON and no job.
    refused(spool, "no-type", b"{}", "missing_type")
    refused(spool, "typo", b'{"type":"echo","paylod":1}', "unknown_key", key="paylod")
    refused(spool, "type-number", b'{"type":1}', "bad_field", key="type")
    refused(spool, "type-path", b'{"type":"../echo"}', "bad_field", key="type")
    refused(spool, "type-upper", b'{"type":"Echo"}', "bad_field", key="type")
    refused(spool, "priority", b'{"type":"echo","priority":10}', "bad_field", key="priority")
    refused(spool, "priority-text", b'{"type":"echo","priority":"1"}', "bad_field", key="priority")
    refused(spool, "run-at", b'{"type":"echo","run_at":"tomorrow"}', "bad_field", key="run_at")
    refused(spool, "run-at-zone", b'{"type":"echo","run_at":"2030-01-01T00:00:00"}', "bad_field", key="run_at")
    refused(spool, "delay", b'{"type":"echo","delay":-1}', "bad_field", key="delay")
    refused(spool, "tags", b'{"type":"echo","tags":"a"}', "bad_field")
    refused(spool, "after", b'{"type":"echo","after":["../x"]}', "bad_field")
    refused(spool, "version", b'{"type":"echo","v":2}', "bad_field", key="v")
    refused(spool, "other-id", b'{"type":"echo","id":"another"}', "wrong_id", key="id")
    refused(spool, "expires-first", b'{"type":"echo","run_at":"2030-01-02T00:00:00Z","expires_at":"2030-01-01T00:00:00Z"}',
            "bad_field", key="expires_at")
    refused(spool, "unknown-type", b'{"type":"ecko"}', "unknown_type", key="type", whole=False)
    look(spool)
    os.unlink(spool.at("dead", "huge.bad"))
    check('"echo"' in spool.record("dead", "unknown-type")["error"]["message"], "the near name is suggested")
    refused(spool, "reserved", b'{"type":"jobspool.notify"}', "reserved_type", key="type", whole=False)
    spool.drop("expired", {"type": "echo", "expires_at": "2020-01-01T00:00:00Z"})
    same(spool.wait("expired", "dead").get("outcome"), "expired", "a job that came too late")

    # Inside the payload anything goes that RFC 8259 allows, and stays as it is.
    odd = b'{"type":"echo","payload":{"a":1,"a":2,"\\ud800":"\\udfff","n":1e999,"m":-0.0}}'
    spool.drop("odd-payload", odd)
    spool.wait("odd-payload")
    check(spool.read("done", "odd-payload").startswith(odd[:-1]), "an odd payload is kept byte for byte")

    # What is no file of ours, or no file at all.
    os.symlink(secret, spool.at("new", "link.json"))
    refused(spool, "link", None, "special_file")
    os.symlink("/dev/zero", spool.at("new", "zero-link.json"))
    refused(spool, "zero-link", None, "special_file")
    os.symlink("nowhere", spool.at("new", "dangling.json"))
    refused(spool, "dangling", None, "special_file")
    os.symlink("../cur", spool.at("new", "loop.json"))
    refused(spool, "loop", None, "special_file")
    os.mkfifo(spool.at("new", "fifo.json"))
    refused(spool, "fifo", None, "special_file")
    server = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(spool.at("new"))
    server.bind("socket.json")
    os.chdir(here)
    refused(spool, "socket", None, "special_file")
    if os.geteuid() == 0:
        os.mknod(spool.at("new", "device.json"), 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        refused(spool, "device", None, "special_file")
    look(spool)
    for name in ("link", "zero-link", "dangling", "loop", "fifo", "socket"):
        check(os.path.lexists(spool.at("dead", name + ".bad")), f"dead/{name}.bad is the thing itself")

    after = os.stat(secret)
    same((after.st_atime, after.st_mtime, after.st_ctime, after.st_size),
         (before.st_atime, before.st_mtime, before.st_ctime, before.st_size), "times of what the link pointed to")

    # A hard link to a file outside: the job runs from a copy, the file keeps its bytes.
    os.link(secret, spool.at("new", "hard.json"))
    good_job(spool, "hard")
    spool.wait("hard")
    with open(secret) as file:
        same(file.read(), '{"type":"echo","payload":"secret"}', "what a hard link led to")
    same(os.stat(secret).st_nlink, 1, "links of it")
    same(os.stat(secret).st_mtime, before.st_mtime, "its time")
    # The same for a file still open somewhere else: what is written later reaches nobody.
    with open(spool.at("tmp", "open.json"), "w") as file:
        file.write('{"type":"echo","payload":"first"}')
        file.flush()
        os.link(spool.at("tmp", "open.json"), spool.at("tmp", "other-name"))
        os.rename(spool.at("tmp", "open.json"), spool.at("new", "open.json"))
        spool.wait("open")
        file.seek(0)
        file.write('{"type":"echo","payload":"LATER"}')
    same(spool.job("done", "open")["payload"], "first", "payload of a file changed through its other name")
    os.unlink(spool.at("tmp", "other-name"))

    # A directory and odd names stay, and are said once.
    os.mkdir(spool.at("new", "folder.json"))
    odd_names = ["README", "a b.json", ".json", "-x.json", "x.JSON", "\u00e4.json", "a" * 200 + ".json", "job.json.part"]
    for name in odd_names:
        with open(spool.at("new", name), "w") as file:
            file.write('{"type":"echo"}')
    good_job(spool, "odd-names")
    until(lambda: {"odd_name:README", "odd_name:folder.json"} <= set(spool.alerts()), "alerts about odd names")
    time.sleep(2.5)  # Two more scans: they must not say it again.
    for name in odd_names + ["folder.json"]:
        check(os.path.lexists(spool.at("new", name)), f"new/{name[:20]} is left alone")
    said = [e["code"] for e in spool.audit() if e["event"] == "alert" and e["code"].startswith("odd_name")]
    same(len(said), len(set(said)), "alerts about odd names, once each")
    # Nor can thousands of them fill the log or status.json.
    for number in range(3000):
        open(spool.at("new", f"odd {number}"), "w").close()
    spool.alerted("odd_names")
    good_job(spool, "odd-thousands")
    said = [e for e in spool.audit() if e["event"] == "alert" and e["code"].startswith("odd_name")]
    check(len(said) <= 30, f"3000 odd names make {len(said)} alerts")
    for number in range(3000):
        os.unlink(spool.at("new", f"odd {number}"))
    for name in odd_names:
        os.unlink(spool.at("new", name))
    os.rmdir(spool.at("new", "folder.json"))
    until(lambda: not spool.alerts(), lambda: f"the alerts go with what they are about: {spool.alerts()}")

    # The forgetful who write straight into new/, slowly.
    text = b'{"type":"echo","payload":"' + b"x" * 3000 + b'"}'
    def dribble(name, pause):
        """Writes it in four pieces; the longest time in which nothing was written."""
        longest, last = 0, time.monotonic()
        with open(spool.at("new", f"{name}.json"), "wb", buffering=0) as file:
            for at in range(0, len(text), 1000):
                file.write(text[at:at + 1000])
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
                if pause == 0.15 or at < 2000:
                    time.sleep(pause)
        return max(longest, time.monotonic() - last)

    for attempt, pause in (("slow", 0.15), ("slower", 0.4)):
        for again in range(5):
            name = f"{attempt}-{again}"
            began = time.monotonic()
            # After a second without a change it is judged as it is, and a busy machine may stop us for so long.
            if dribble(name, pause) < 0.8:
                break
        took = time.monotonic() - began
        good_job(spool, attempt)
        spool.wait(name)
        same(spool.states(name), ["done"], f"a file written into new/ in pieces over {took:.1f} s")

    # One that grows without end in new/ holds up nobody and is refused in the end.
    with open(spool.at("new", "endless.json"), "wb", buffering=0) as file:
        file.write(b'{"type":"echo","payload":"')
        end = time.monotonic() + 20
        while os.path.exists(spool.at("new", "endless.json")) and time.monotonic() < end:
            file.write(b"y" * 4000)
            time.sleep(0.02)
    record = spool.wait("endless", "dead")
    check(record.get("error", {}).get("code") in ("too_large", "bad_json"), f"a file that only grows: {record.get('error')}")
    good_job(spool, "endless")

    worst = max(WORST)
    say(f"{len(WORST)} good jobs after bad input; the slowest took {worst[0] * 1000:.0f} ms, after {worst[1]}")
    check(spool.process.poll() is None and spool.starts == 1, "the daemon ran on through all of it")
    same(spool.stop(), 0, "exit of the daemon")
    spool.verify()
finish()
