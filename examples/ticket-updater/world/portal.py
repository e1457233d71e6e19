#!/usr/bin/env python3
"""The foreign site: log-in by form and cookie, then tickets. portal.py FOLDER writes FOLDER/portal.json with its address.

FOLDER/people.json has who may log in, base.txt the base ticket, behave.json what it should do:
{"delay": seconds for a ticket, "slow": {login: seconds}, "broken": [logins answered by 503], "huge": {login: bytes}}.
GET /most says how many sessions it served at once at most.
"""

import json
import os
import secrets
import sys
import threading
import time
from urllib.parse import parse_qs

from world import Calls, address, announce, server

folder = sys.argv[1]
sessions, lock, now, most = {}, threading.Lock(), 0, 0


def read(name, default):
    try:
        with open(os.path.join(folder, name)) as file:
            return json.load(file)
    except FileNotFoundError:
        return default


class Portal(Calls):
    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        login, password = form["login"][0], form["password"][0]
        if login in read("behave.json", {}).get("broken", []):
            return self.answer(503, b"under maintenance")
        if read("people.json", {}).get(login) != password:
            return self.answer(401, b"wrong login or password")
        session = secrets.token_hex(16)
        sessions[session] = login
        self.answer(200, b"welcome", f"session={session}")

    def do_GET(self):
        global now, most
        if self.path == "/most":
            return self.answer(200, str(most).encode())
        login = sessions.get((self.headers.get("Cookie") or "").removeprefix("session="))
        if not login:
            return self.answer(401, b"log in first")
        behave = read("behave.json", {})
        with lock:
            now += 1
            most = max(most, now)
        try:
            time.sleep(behave.get("slow", {}).get(login, behave.get("delay", 0.2)))
            with open(os.path.join(folder, "base.txt"), "rb") as file:
                base = file.read()
            if self.path == "/base-ticket":
                return self.answer(200, base)
            self.answer(200, b"ticket of " + login.encode() + b": " + base, fill=behave.get("huge", {}).get(login, 20_000))
        finally:
            with lock:
                now -= 1

    def answer(self, status, data, cookie=None, fill=0):
        self.send_response(status)
        self.send_header("Content-Length", str(max(len(data), fill)))
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()
        try:
            self.wfile.write(data)
            left = fill - len(data)
            while left > 0:
                self.wfile.write(b" " * min(left, 1 << 20))
                left -= 1 << 20
        except (BrokenPipeError, ConnectionResetError):
            pass


site = server(Portal)
announce(folder, "portal", url=address(site))
site.serve_forever()
