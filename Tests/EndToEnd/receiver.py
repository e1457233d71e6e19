"""A receiver of webhooks for tests: receiver.py FOLDER SECRET.

Writes its port to FOLDER/port, and a line of JSON for each request to FOLDER/requests: path, webhook headers, whether the
signature is right (by the rule of standardwebhooks.com, written anew here), and the body. What it answers is decided by
the path: /ok 204, /flaky 500 the first time and then 200, /gone 410, /bad 404, /later 429 with Retry-After: 1 once.
"""

import base64
import hashlib
import hmac
import http.server
import json
import pathlib
import sys

folder, key = pathlib.Path(sys.argv[1]), base64.b64decode(sys.argv[2].removeprefix("whsec_"))
seen: dict[str, int] = {}


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        identity, stamp = self.headers.get("webhook-id", ""), self.headers.get("webhook-timestamp", "")
        digest = hmac.new(key, f"{identity}.{stamp}.".encode() + body, hashlib.sha256).digest()
        expected = "v1," + base64.b64encode(digest).decode()
        seen[self.path] = count = seen.get(self.path, 0) + 1
        line = {
            "path": self.path, "id": identity, "timestamp": stamp, "count": count,
            "signed": hmac.compare_digest(expected, self.headers.get("webhook-signature", "")),
            "body": json.loads(body),
        }
        with (folder / "requests").open("a") as log:
            log.write(json.dumps(line) + "\n")
        once = {"/flaky": 500, "/later": 429}
        status = {"/ok": 204, "/gone": 410, "/bad": 404}.get(self.path, 200)
        if self.path in once and count == 1:
            status = once[self.path]
        self.send_response(status)
        if status == 429 or status == 500:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
(folder / "port.new").write_text(str(server.server_address[1]))
(folder / "port.new").rename(folder / "port")
server.serve_forever()
