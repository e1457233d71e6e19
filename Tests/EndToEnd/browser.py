"""A headless Chromium, driven by its DevTools protocol over two pipes: what the test of the dashboard needs, no more.

It keeps every request the page makes, everything it writes to the console, every exception and every violation of the
content security policy, so that a test can say there were none. Not executable: it is no test of its own. Standard
library only.
"""

import base64
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time

from daemon import PATIENCE, check, until

NAMES = ("chromium-headless-shell", "chromium-shell", "chromium", "chromium-browser", "google-chrome")


def find():
    """A Chromium of this machine, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Gone(Exception):
    pass


class Browser:
    def __init__(self, width=1280, height=900, dark=False):
        self.profile = tempfile.mkdtemp()
        read_here, write_there = os.pipe()
        read_there, write_here = os.pipe()
        # Chromium reads its commands from descriptor 3 and answers on 4. (dash knows descriptors of one digit only.)
        program = find()
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", f'exec 3<&{read_there} 4>&{write_there}; exec "$0" "$@"', program, "--headless=new",
             "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
             "--disable-default-apps", "--metrics-recording-only", "--mute-audio", "--hide-scrollbars",
             "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
             f"--user-data-dir={self.profile}", "about:blank"],
            pass_fds=(read_there, write_there), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_there)
        os.close(write_there)
        self.commands = os.fdopen(write_here, "wb", buffering=0)
        self.answers = os.fdopen(read_here, "rb")
        self.number = 0
        self.waiting = {}
        self.requests = []
        self.console = []
        self.exceptions = []
        self.violations = []
        threading.Thread(target=self._read, daemon=True).start()
        target = self._send("Target.createTarget", {"url": "about:blank"})["targetId"]
        self.session = self._send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Audits"):
            self.do(domain + ".enable")
        self.size(width, height)
        self.scheme(dark)

    # The protocol

    def _read(self):
        buffer = b""
        while True:
            piece = self.answers.read1(65536)
            if not piece:
                break
            buffer += piece
            *messages, buffer = buffer.split(b"\0")
            for message in messages:
                self._hear(json.loads(message))
        for box in list(self.waiting.values()):
            box.put({"error": {"message": "the browser ended"}})

    def _hear(self, message):
        if "id" in message:
            box = self.waiting.pop(message["id"], None)
            if box:
                box.put(message)
            return
        method, details = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requests.append(details["url"])
        elif method == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(one.get("value", one.get("description"))) for one in details["args"]))
        elif method == "Runtime.exceptionThrown":
            thrown = details["exceptionDetails"]
            self.exceptions.append(thrown.get("exception", {}).get("description") or thrown["text"])
        elif method == "Log.entryAdded" and details["entry"]["level"] == "error":
            self.console.append(details["entry"]["text"] + " " + details["entry"].get("url", ""))
        elif method == "Audits.issueAdded" and details["issue"]["code"] == "ContentSecurityPolicyIssue":
            self.violations.append(details["issue"]["details"])

    def _send(self, method, parameters=None, session=None):
        self.number += 1
        box = self.waiting[self.number] = queue.Queue()
        message = {"id": self.number, "method": method, "params": parameters or {}}
        if session:
            message["sessionId"] = session
        self.commands.write(json.dumps(message).encode() + b"\0")
        try:
            answer = box.get(timeout=PATIENCE)
        except queue.Empty:
            raise Gone(f"no answer to {method}") from None
        if "error" in answer:
            raise Gone(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def do(self, method, **parameters):
        return self._send(method, parameters, self.session)

    # The page

    def size(self, width, height, mobile=False):
        self.do("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def scheme(self, dark):
        self.do("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
        ])

    def open(self, url):
        self.do("Page.navigate", url=url)

    def run(self, script):
        """The value of an expression in the page; a promise is waited for."""
        answer = self.do("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise Gone(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def text(self, selector="body"):
        """What a reader sees of the first such element."""
        return self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''") or ""

    def count(self, selector):
        return self.run(f"document.querySelectorAll({json.dumps(selector)}).length")

    def sees(self, text, selector="body", patience=None):
        """Waits until the text is to be read there."""
        return until(
            lambda: text in self.text(selector), lambda: f"{text!r} in {selector}: {self.text(selector)[:1500]!r}",
            patience, every=0.05,
        )

    def click(self, selector, text=None):
        """Clicks the first such element, with the text if one is given, as a person does: in its middle."""
        script = f"""(() => {{
          const text = {json.dumps(text)};
          const one = [...document.querySelectorAll({json.dumps(selector)})]
            .find((one) => one.checkVisibility() && (text === null || one.innerText?.includes(text)));
          if (!one || one.disabled) return null;
          one.scrollIntoView({{block: "center"}});
          const box = one.getBoundingClientRect();
          return {{x: box.x + box.width / 2, y: box.y + box.height / 2}};
        }})()"""
        wanted = lambda: f"{selector} {text or ''} to click in {self.text()[:800]!r}"
        place = until(lambda: self.run(script), wanted, every=0.05)
        if not place:
            raise Gone(f"{selector} {text or ''} is not there")
        for kind in ("mousePressed", "mouseReleased"):
            self.do("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def press(self, key):
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        code = {"Enter": 13, "Escape": 27}.get(key, ord(key[0].upper()))
        self.do("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.do("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def type(self, text):
        self.do("Input.insertText", text=text)

    def picture(self, path, whole=False):
        taken = self.do("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        with open(path, "wb") as file:
            file.write(base64.b64decode(taken["data"]))

    def complaints(self):
        """What the page said that a sound page does not say."""
        return self.exceptions + [f"violation of the policy: {one}" for one in self.violations] + self.console

    def close(self):
        try:
            self._send("Browser.close")
        except (Gone, OSError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        # Its helpers may still write for a moment.
        for _ in range(50):
            shutil.rmtree(self.profile, True)
            if not os.path.exists(self.profile):
                break
            time.sleep(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if error[0] and error[0] is not SystemExit:
            check(False, f"{error[0].__name__}: {error[1]}")
            print("--- what the page showed ---")
            try:
                print(self.text()[:2000])
            except (Gone, OSError):
                pass
        self.close()
        return error[0] is not None and issubclass(error[0], Gone)
