#!/usr/bin/env python3
"""The dashboard in a headless Chromium against the real programs: logging in by link, a job watched while it runs,
search, requeueing many, cancelling, running a schedule, hostile text shown as text, a phone's width, a lost connection;
and all the while no request to another host and nothing that the content security policy forbids."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

from browser import Browser, find
from daemon import Spool, check, finish, program, same, say, skip, until

if not find():
    skip("no Chromium is installed (.ci/install-peers installs one)")

HOSTILE = "<script>window.hostile=1</script><img src=x onerror=\"window.hostile=2\">"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


PORT = free_port()
HOME = f"http://127.0.0.1:{PORT}/"


def serve(spool):
    """The web program by itself, ready to answer."""
    output = open(spool.path + ".web", "ab")
    web = subprocess.Popen([program("jobspool-web"), "--spool", spool.path], stdin=subprocess.DEVNULL, stdout=output,
                           stderr=output, cwd="/")

    def ready():
        try:
            with urllib.request.urlopen(HOME + "healthz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return web.poll() is not None

    until(ready, "the web program answers", every=0.05)
    if web.poll() is not None:
        with open(spool.path + ".web") as said:
            check(False, f"the web program runs; it ended with {web.returncode}: {said.read()[-2000:]}")
        finish()
    return web


def run(spool, *arguments):
    done = subprocess.run([program("jobspool"), *arguments, "--spool", spool.path], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, cwd="/", timeout=60)
    if done.returncode:
        check(False, f"jobspool {' '.join(arguments)}: {done.returncode}: {done.stderr}")
    return done.stdout.strip()


def go(browser, view):
    browser.run(f"location.hash = '#/{view}'")


def prepare(spool):
    spool.handler("quick", "echo '{\"answer\": 42}'", "concurrency = 4")
    spool.handler("watched", f"""
echo '{{"progress": 10, "stage": "prepare"}}' >&3
echo 'the first line' >&2
until [ -e {spool.at('go')} ]; do sleep 0.05; done
echo '{{"progress": 70, "stage": "write"}}' >&3
echo 'the last line' >&2
until [ -e {spool.at('end')} ]; do sleep 0.05; done
echo '{{"written": 480}}'""")
    mended = spool.at("mended")
    spool.handler("flaky", f"[ -e {mended} ] || {{ echo 'the disk of host 17 is full' >&2; exit 65; }}",
                  "concurrency = 4")
    spool.handler("endless", "exec sleep 3600")
    spool.configure('type = "quick"\ncron = "0 0 1 1 *"\ndescription = "The books of the year"\n',
                    "schedules/yearly.toml")
    for number in range(12):
        spool.drop(f"flaky-{number}", {"type": "flaky", "payload": {"number": number}})
    for number in range(5):
        spool.drop(f"quick-{number}", {"type": "quick", "tags": ["needle"] if number == 3 else []})
    spool.drop("hostile", {"type": "quick", "payload": {"html": HOSTILE}, "meta": {"note": HOSTILE}, "tags": [HOSTILE]})


def log_in(spool, browser):
    said = run(spool, "dashboard")
    link = next(word for word in said.split() if "#login=" in word)
    check(link.startswith(HOME), f"the link leads to this server: {link[:40]}")
    browser.open(link)
    browser.sees("Overview", "#top")
    browser.sees("Live", "#top")
    same(browser.run("location.href"), HOME + "#/", "the code is gone from the address")
    same(browser.run("document.cookie"), "", "cookies")
    code = link.split("#login=")[1]
    status = browser.run("fetch('v1/login', {method: 'POST', headers: {'Content-Type': 'application/json'}, "
                         f"body: JSON.stringify({{code: {code!r}}})}}).then((answer) => answer.status)")
    same(status, 401, "the same code a second time")
    # Its refusal is written to the console, as it should be; what comes from here on is not expected.
    until(lambda: browser.console, "the refusal in the console")
    browser.console.clear()
    sizes = browser.run("performance.getEntriesByType('resource').filter((one) => one.name.includes('/assets/'))"
                        ".concat(performance.getEntriesByType('navigation')).map((one) => one.decodedBodySize)")
    say(f"first paint: {sum(sizes)} bytes in {len(sizes)} files")
    check(0 < sum(sizes) < 100_000, "the first paint is under 100 KB")


def overview(browser):
    browser.sees("12 flaky dead", ".headline")
    browser.sees("12", ".tile.t-dead .tile-count")
    check(browser.count(".chart svg rect.f-dead") > 0, "the chart shows failures")
    same(browser.count(".chart table tbody tr"), 60, "rows of the chart's table for a screen reader")


def watch_live(spool, browser):
    go(browser, "jobs")
    browser.sees("quick", ".list")
    browser.run("window.untouched = true")
    spool.drop("watch-me", {"type": "watched", "payload": {"order": 7}})
    browser.sees("watch-me", ".list")
    browser.sees("prepare", ".list")
    browser.click(".list a", "watch-me")
    browser.sees("Running", ".job-head")
    browser.sees("10 %", ".standing")
    browser.sees("the first line", ".log")
    open(spool.at("go"), "w").close()
    browser.sees("70 %", ".standing")
    browser.sees("the last line", ".log")
    check("the first line" in browser.text(".log"), "the log grows and is not replaced")
    open(spool.at("end"), "w").close()
    browser.sees("Done", ".job-head")
    browser.sees("480", ".job-page")
    life = ["Submitted", "Started", "prepare", "write", "Done"]
    steps = lambda: browser.run("[...document.querySelectorAll('.life-name')].map((one) => one.innerText)")
    until(lambda: steps() == life, lambda: f"{life} as its life, instead of {steps()}", every=0.05)
    check(browser.run("window.untouched === true"), "all of it without loading the page again")


def hostile_text(browser):
    go(browser, "job/hostile")
    browser.sees("Done", ".job-head")
    browser.sees("<script>window.hostile=1</script>", ".json")
    go(browser, "jobs?q=hostile")
    browser.sees("<script>window.hostile=1</script>", ".list")
    same(browser.count("main img, main script"), 0, "elements made of text")
    same(browser.run("window.hostile ?? null"), None, "what the text tried to set")


def search(browser):
    go(browser, "")
    browser.sees("Ready", ".tiles")
    browser.press("/")
    until(lambda: browser.run("document.activeElement.id") == "search", "the search box has the focus", every=0.05)
    browser.type("needle")
    browser.sees("1 job", ".toolbar")
    found = browser.run("[...document.querySelectorAll('.list tbody tr .job')].map((one) => one.innerText)")
    same(found, ["quick quick-3"], "what is found")
    same(browser.run("location.hash"), "#/jobs?q=needle", "the filter is in the address")
    browser.press("Escape")


def requeue_many(spool, browser):
    go(browser, "jobs?state=dead&type=flaky")
    browser.sees("12 jobs", ".toolbar")
    browser.press("j")
    browser.press("a")
    browser.click(".actions button", "Requeue")
    browser.sees("Requeue 12 jobs?", "dialog")
    same(len(spool.names("dead")), 12, "dead jobs while it asks")
    open(spool.at("mended"), "w").close()
    browser.click("dialog button.primary")
    until(lambda: not spool.names("dead"), lambda: f"no dead jobs, but {spool.names('dead')}")
    for number in range(12):
        spool.wait(f"flaky-{number}")
    browser.sees("Requeued 12 jobs", "#toasts")


def cancel(spool, browser):
    spool.drop("cancel-me", {"type": "endless"})
    go(browser, "job/cancel-me")
    browser.sees("Running", ".job-head")
    browser.click(".job-head button", "Cancel")
    browser.sees("It is running", "dialog")
    browser.click("dialog button.primary")
    browser.sees("Cancelled", ".job-head")
    same(spool.wait("cancel-me", "dead").get("outcome"), "cancelled", "its outcome")
    browser.sees("cancelled", ".audit")


def run_schedule(spool, browser):
    go(browser, "schedules")
    browser.sees("The books of the year", ".schedules")
    before = set(spool.names("done"))
    browser.click(".schedules button", "Run now")
    browser.sees("yearly runs now", "#toasts")
    made = until(lambda: [name for name in spool.names("done") if name not in before], "a job of the schedule")
    check(made and made[0].startswith("yearly."), f"its job is named after it: {made}")
    until(lambda: browser.count(".dots circle.f-done") == 1, "a dot for the run", every=0.05)


def submit(spool, browser):
    go(browser, "submit?type=quick")
    browser.sees("Payload", ".form")
    browser.run("const box = document.querySelector('[name=payload]'); box.value = '{\"big\": 12345678901234567890}';"
                "box.dispatchEvent(new Event('input', {bubbles: true}))")
    browser.click(".form button.primary", "Submit")
    browser.sees("Done", ".job-head")
    browser.sees("12345678901234567890", ".json")
    id_ = browser.run("location.hash").split("/")[-1]
    check(b"12345678901234567890" in spool.read("done", id_), "the number arrives as it was typed")


def patching(browser):
    """Updating in place gives what building anew gives, for random trees, and keeps what has a key."""
    wrong = browser.run("""import("./assets/dom.js").then(({ h, patch }) => {
      let seed = 7;
      const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
      const shuffled = (list) => list.map((one) => [random(1000), one]).sort((a, b) => a[0] - b[0]).map(([, one]) => one);
      const keyed = () => shuffled([..."abcdefgh"]).slice(0, random(8)).map((key) =>
        h("b", { key, id: random(2) ? key : null }, key, random(3) ? null : h("i", null, random(5))));
      const tree = (depth, key) =>
        h(["div", "p", "span"][random(3)], { key, class: random(2) ? "c" + random(3) : null, title: random(3) ? null : "t" },
          random(2) ? keyed() : null,
          random(2) ? "text " + random(4) : null,
          depth > 0 ? Array.from({ length: random(4) }, () => tree(depth - 1)) : null);
      const wrong = [];
      for (let round = 0; round < 400; round++) {
        const box = h("div", null, tree(2, "root"));
        const old = box.firstChild, next = tree(2, "root"), wanted = next.cloneNode(true);
        const known = new Map([...old.children].filter((one) => one.$key).map((one) => [one.$key, one]));
        const now = patch(old, next);
        if (now !== box.firstChild || !now.isEqualNode(wanted)) wrong.push([round, box.innerHTML, wanted.outerHTML]);
        if (now !== old) continue;
        for (const one of now.children) {
          if (known.has(one.$key) && known.get(one.$key) !== one) wrong.push([round, "made anew", one.$key]);
        }
      }
      return wrong;
    })""")
    same(wrong, [], "what updating in place got wrong, of 400 random trees")


def narrow(browser):
    browser.size(390, 844, mobile=True)
    views = {"": "Ready", "jobs": "flaky", "job/watch-me": "Payload", "dead": "Dead letters", "types": "endless",
             "schedules": "yearly", "system": "Programs", "submit": "Payload"}
    for view, text in views.items():
        go(browser, view)
        browser.sees(text, "main")
        same(browser.run("document.documentElement.scrollWidth"), 390, f"width of {view or 'overview'}")
    browser.size(1280, 900)


def lost_connection(spool, browser, web):
    go(browser, "jobs")
    browser.sees("watch-me", ".list")
    quiet = len(browser.console)
    web.kill()
    web.wait()
    browser.sees("The connection is lost", "#banner")
    spool.drop("meanwhile", {"type": "quick"})
    spool.wait("meanwhile")
    web = serve(spool)
    browser.click("#banner button", "Try now")
    browser.sees("Live", "#top")
    browser.sees("meanwhile", ".list")
    check(browser.text("#banner").strip() == "", "the notice goes")
    # Refused connections are written there; the rest is judged.
    del browser.console[quiet:]
    return web


with Spool("spool", f'[web]\nlisten = "127.0.0.1:{PORT}"\n') as spool:
    prepare(spool)
    spool.start()
    web = serve(spool)
    try:
        for number in range(12):
            spool.wait(f"flaky-{number}", "dead")
        spool.wait("hostile")
        with Browser() as browser:
            log_in(spool, browser)
            overview(browser)
            watch_live(spool, browser)
            hostile_text(browser)
            search(browser)
            requeue_many(spool, browser)
            cancel(spool, browser)
            run_schedule(spool, browser)
            submit(spool, browser)
            patching(browser)
            narrow(browser)
            web = lost_connection(spool, browser, web)
            elsewhere = [url for url in browser.requests
                         if not url.startswith((HOME, HOME.replace("http", "ws"), "data:", "about:"))]
            check(not elsewhere, f"no request leaves the host {elsewhere[:3] or ''}")
            say(f"{len(browser.requests)} requests, {len(browser.violations)} violations of the policy")
            same(browser.complaints(), [], "what the page complained of")
    finally:
        if web.poll() is None:
            web.send_signal(signal.SIGTERM)
            web.wait(20)
    spool.stop()
finish()
