"""A client of the HTTP API for the scripts here: standard library only, tokens made by hand. Not executable: no test of its own."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import time

from daemon import Spool, program, until

KEY = bytes(range(32))


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(role="admin", sub="anna", ttl=600, key=KEY, header=None, **claims):
    """A token as `jobspool token create` makes it, or a wrong one."""
    head = {"alg": "HS256", "typ": "JWT"} if header is None else header
    body = {"sub": sub, "role": role, "exp": int(time.time()) + ttl, "jti": f"t{time.monotonic_ns()}", **claims}
    body = {name: value for name, value in body.items() if value is not None}
    text = encoded(json.dumps(head).encode()) + "." + encoded(json.dumps(body).encode())
    if head.get("alg") == "none":
        return text + "."
    digest = {"HS384": "sha384", "HS512": "sha512"}.get(head.get("alg"), "sha256")
    return text + "." + encoded(hmac.new(key, text.encode(), digest).digest())


class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return {}


class Web(Spool):
    """A spool whose daemon serves HTTP on a port of its own."""

    def __init__(self, name="spool", config="", web="", **more):
        super().__init__(name, **more)
        self.settings, self.web = config, web
        self.port = None
        os.makedirs(self.at("secret"), mode=0o700, exist_ok=True)
        with open(self.at("secret", "web.key"), "w") as file:
            file.write(KEY.hex() + "\n")
        os.chmod(self.at("secret", "web.key"), 0o600)
        self.token = token()
        program("jobspool-web")

    def serve(self, *arguments, **more):
        """Starts the daemon with its web program and finds the port."""
        self.configure(f'{self.settings}\n[web]\nlisten = "127.0.0.1:0"\n{self.web}\n')
        mark = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        self.start("--config", self.at("jobspool.toml"), *arguments, **more)
        return self.find(mark)

    def find(self, mark=0):
        def port():
            lines = [line for line in self.said(mark).decode(errors="replace").splitlines() if " on http://" in line]
            return int(lines[-1].rsplit(":", 1)[1]) if lines else None

        self.port = until(port, lambda: f"the web program listens: {self.said(mark)[-1000:]}")
        return self.port

    def call(self, method, path, body=None, headers=None, token="", raw=None, timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            headers = dict(headers or {})
            if token != None and "Authorization" not in headers:
                headers["Authorization"] = f"Bearer {token or self.token}"
            data = raw if raw is not None else None if body is None else json.dumps(body)
            if data is not None and "Content-Type" not in headers:
                headers["Content-Type"] = "application/json"
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.call("POST", path, body, **more)
