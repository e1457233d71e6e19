#!/usr/bin/env python3
"""Live events as a foreign client meets them: /v1/events of the real web program over the real daemon."""
import atexit
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import daemon  # noqa: E402
from daemon import check, finish, same, say, until  # noqa: E402
from socketclient import BINARY, CLOSE, PING, PONG, Refused, Socket, Web, make_key, token  # noqa: E402

daemon.program("jobspool-web")
spool = daemon.Spool("spool", config="max_jobs = 4\n[web]\nstats_interval = \"1s\"\nallowed_origins = [\"https://shop.example\"]\n")
spool.handler("steps", """
echo '{"progress":10,"stage":"select"}' >&3; sleep 0.4
echo '{"progress":60}' >&3; sleep 0.4
echo '{"ok":true}'""", "concurrency = 4")
spool.handler("quick", "exit 0", "concurrency = 4")
spool.handler("fails", "echo no luck >&2; exit 65")
make_key(spool.path)
spool.start()
atexit.register(lambda: spool.process and spool.process.kill())
web = Web(spool.path, os.path.join(daemon.scratch(), "web.stderr"))
viewer = token(spool.path)


def refused(what, expected, *arguments, **more):
    try:
        Socket(web.port, *arguments, **more)
        return check(False, f"{what} is refused")
    except Refused as reason:
        return same(reason.args[0], expected, what)


# Who may come in.
refused("a bad token in the header", 401, "a.b.c")
refused("an expired token", 401, token(spool.path, ttl=-5))
refused("a page of another host", 403, viewer, origin="https://evil.example")
refused("another version of the protocol", 426, viewer, version="8")
refused("a WebSocket elsewhere", 404, viewer, path="/v1/nowhere")
refused("a WebSocket of an ordinary route", 200, viewer, path="/healthz")
same(web.get("/v1/events", viewer)[0], 426, "a plain GET")
same(web.get("/healthz", headers={"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"})[0],
     200, "a request to switch to h2c is answered in HTTP/1.1")
listener = Socket(web.port, viewer, origin=f"http://127.0.0.1:{web.port}")
ready = listener.wait("ready")
same((ready["subject"], ready["role"]), ("anna", "viewer"), "the header's token is welcomed")
named = Socket(web.port, protocols=["jobspool.v1", f"bearer.{viewer}"], origin="https://shop.example")
same(named.headers.get("sec-websocket-protocol"), "jobspool.v1", "the subprotocol is answered, without the token")
check(named.wait("ready"), "the subprotocol's token is welcomed")
late = Socket(web.port)
late.send({"event": "subscribe:jobs"})
same(late.next()["code"], "no_token", "nothing before the token")
late.send({"event": "auth", "token": viewer})
check(late.wait("ready"), "the first message's token is welcomed")
bad = Socket(web.port)
bad.send({"event": "auth", "token": "x.y.z"})
same(bad.next()["code"], "bad_token", "a bad token in a message")
same((bad.next(), bad.closed), (None, 4401), "and the connection is closed")
silent = Socket(web.port)
began = time.monotonic()

# One job's life.
listener.send({"event": "subscribe:jobs", "filter": {"type": ["steps", "fails"]}})
listener.wait("subscribed")
dropped = time.monotonic()
spool.drop("life", {"type": "steps", "tags": ["x"], "meta": {"order": 7}})
first = listener.wait("job-update")
latency = (time.monotonic() - dropped) * 1000
say(f"the first event came {latency:.0f} ms after the drop")
check(latency < 100, "the first event within 100 ms of the drop")
changes = [first["change"]]
numbers = [first["seq"]]
while changes[-1] != "finished":
    message = listener.wait("job-update")
    if message is None:
        break
    if message["change"] == "finished":
        check(os.path.exists(spool.at("done", "life.json")), "the end is announced when its file is in done/")
        same(message["job"]["state"], "done", "the job of the last event")
    changes.append(message["change"])
    numbers.append(message["seq"])
order = [changes.index(change) for change in ("submitted", "claimed", "progress", "finished") if change in changes]
check(len(order) == 4 and order == sorted(order), f"submitted, claimed, progress, finished in that order: {changes}")
check("stage" in changes, "the stage is told of")
same(first["job"]["tags"], ["x"], "the job comes with its tags")

# What cannot be understood.
for text, code in [(b"{", "bad_message"), (b"[]", "bad_message"), (b'{"event":1}', "bad_message"),
                   (b'{"event":"dance"}', "unknown_event"), (b'{"event":"subscribe:jobs","filter":{"colour":"red"}}', "bad_parameter"),
                   (b'{"event":"subscribe:jobs","filter":{"state":"gone"}}', "bad_parameter"),
                   (b'{"event":"subscribe:jobs","since":"x"}', "bad_message")]:
    named.send(text)
    same(named.wait("error")["code"], code, f"{text.decode()} is answered")
named.send_frame(BINARY, b"x")
same(named.wait("error")["code"], "bad_message", "a binary message is answered")
named.send_frame(1, b'{"event":"request:', fin=False)
named.send_frame(0, b'job-stats"}')
same(named.wait("job-stats")["data"]["counts"]["done"], 1, "a message in two frames counts the done job")
named.send_frame(PING, b"hello")
# Figures come by themselves, so some may come first.
same(next(frame for frame in iter(named.frame, None) if frame[0] != 1), (PONG, b"hello"), "a ping is answered")
check(named.wait("job-stats", patience=10), "figures come by themselves")
huge = Socket(web.port, viewer)
huge.send(b'{"event":"' + b"x" * 40000 + b'"}')
while huge.next():
    pass
same(huge.closed, 1009, "a message that is too large")
broken = Socket(web.port, viewer)
broken.send_frame(1, b"\xff\xfe")
while broken.next():
    pass
same(broken.closed, 1007, "a message that is no UTF-8")
for what, opcode, masked in (("a frame without mask", 1, False), ("an unknown kind of frame", 5, True), ("a reserved bit", 0x41, True)):
    odd = Socket(web.port, viewer)
    odd.wait("ready")
    odd.send_frame(opcode, b"{}", masked=masked)
    while odd.next(patience=20) is not None:
        pass
    same(odd.closed, 1002, what)

# Going on where one was cut off.
seen = max(numbers)
listener.close()
for number in range(5):
    spool.drop(f"missed-{number}", {"type": "fails"})
for number in range(5):
    spool.wait(f"missed-{number}", "dead")
again = Socket(web.port, viewer)
again.wait("ready")
again.send({"event": "subscribe:jobs", "filter": {"state": "dead"}, "since": seen})
missed = set()
while len(missed) < 5:
    message = again.wait("job-update", patience=15)
    if message is None:
        break
    missed.add(message["job"]["id"])
    check(message["change"] == "rejected" or message["change"] == "buried", f"{message['job']['id']} {message['change']}")
same(missed, {f"missed-{number}" for number in range(5)}, "nothing is missed after a cut")
again.send({"event": "subscribe:jobs", "since": 0})
same(again.wait("error")["code"], "too_old", "what is not kept any more is said to be so")
again.send({"event": "unsubscribe:jobs"})
check(again.wait("unsubscribed"), "a subscription can be ended")

# A producer hears of its own jobs only.
producer = Socket(web.port, token(spool.path, "producer", "shop"))
producer.wait("ready")
producer.send({"event": "request:job-stats"})
same(producer.wait("error")["code"], "forbidden", "a producer does not see the whole queue")
producer.send({"event": "subscribe:jobs"})
producer.wait("subscribed")

same((silent.next(patience=20), silent.closed), (None, 4401), "who says nothing is closed")
check(time.monotonic() - began > 4, "but not at once")
same(web.get("/healthz")[0], 200, "it still answers")
with open(web.log) as file:
    said = file.read()
check("anna (viewer) listens" in said and "stopped listening" in said, "who comes and goes is in the log")
web.process.terminate()
message = again.wait("nothing", patience=20)
same((message, again.closed), (None, 1001), "a stop is announced")
same(web.process.wait(daemon.PATIENCE), 0, "and jobspool-web ends in order")
spool.stop()
spool.verify()
if daemon.failures:
    print(said[-3000:])
finish()
