#!/usr/bin/env python3
"""Sends the notice of one sign-in after the other: a job per line in, an answer per line out.

The mail's Message-ID is made from the job's id, so a mail that a crash sends twice is one for the mail server. Addresses leave
this program only in the mail itself; whatever goes into logs or errors is masked.
"""

import email.message
import email.utils
import html
import json
import os
import re
import smtplib
import sys
import traceback
import urllib.request
from datetime import datetime
from zoneinfo import ZoneInfo

VERSION = 1
ZONE = os.environ.get("TIME_ZONE", "Asia/Ulaanbaatar")
WORDS = {
    "mn": {
        "subject": "Таны бүртгэлд шинээр нэвтэрлээ",
        "hello": "Сайн байна уу, {name}!",
        "what": "Таны бүртгэлд дараах мэдээллээр нэвтэрлээ:",
        "provider": "Нэвтэрсэн арга", "time": "Огноо, цаг", "ip": "IP хаяг", "browser": "Хөтөч",
        "warning": "Хэрэв та нэвтрээгүй бол нууц үгээ нэн даруй солино уу.",
        "email": "И-мэйл",
    },
    "en": {
        "subject": "New sign-in to your account",
        "hello": "Hello {name},",
        "what": "Somebody signed in to your account:",
        "provider": "Provider", "time": "Time", "ip": "IP address", "browser": "Browser",
        "warning": "If this was not you, change your password at once.",
        "email": "E-mail",
    },
}
MONTHS = ("January February March April May June July August September October November December").split()
server = None


def masked(text):
    """Every address in a text as b***@example.org."""
    return re.sub(r"([\w.+-])[\w.+-]*@([\w.-]+)", r"\1***@\2", str(text))


def moment(timestamp, language):
    at = datetime.fromisoformat(timestamp.replace("Z", "+00:00")).astimezone(ZoneInfo(ZONE))
    if language == "mn":
        return f"{at.year} оны {at.month:02} дугаар сарын {at.day:02}, {at:%H:%M:%S} ({at:%Z})"
    return f"{at.day} {MONTHS[at.month - 1]} {at.year}, {at:%H:%M:%S} ({at:%Z})"


def browser(agent):
    for mark, name in (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari")):
        if mark in agent:
            return f"{name} ({agent})"
    return agent


def compose(id_, payload):
    language = payload.get("language", "mn")
    words = WORDS[language]
    provider = words["email"] if payload["provider"] == "email" else payload["provider"].capitalize()
    facts = [("provider", provider), ("time", moment(payload["timestamp"], language)), ("ip", payload["ipAddress"]),
             ("browser", browser(payload["userAgent"]))]
    hello = words["hello"].format(name=payload["name"])
    text = "\n".join([hello, "", words["what"], "", *(f"{words[key]}: {value}" for key, value in facts), "", words["warning"], ""])
    rows = "".join(f"<tr><th align=left>{words[key]}</th><td>{html.escape(value)}</td></tr>" for key, value in facts)
    page = (f'<!doctype html><html lang="{language}"><meta charset="utf-8"><body><p>{html.escape(hello)}</p><p>{words["what"]}</p>'
            f'<table>{rows}</table><p><strong>{words["warning"]}</strong></p></body></html>')
    message = email.message.EmailMessage()
    message["From"], message["To"] = os.environ["MAIL_FROM"], payload["email"]
    message["Subject"] = words["subject"]
    message["Message-ID"], message["Date"] = f"<{id_}@signin.example.org>", email.utils.formatdate()
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    message.add_alternative(page, subtype="html")
    message["Content-Language"] = language
    return message, text, page


def send(message, text, page):
    """By the HTTP API when there is one, else by SMTP over a connection that is kept for the next mail."""
    global server
    if api := os.environ.get("MAIL_API"):
        body = {"from": message["From"], "to": message["To"], "subject": message["Subject"], "text": text, "html": page,
                "id": message["Message-ID"]}
        request = urllib.request.Request(api, json.dumps(body).encode(), {"Content-Type": "application/json"})
        if path := os.environ.get("MAIL_API_KEY_FILE"):
            with open(path) as file:
                request.add_header("Authorization", f"Bearer {file.read().strip()}")
        urllib.request.urlopen(request, timeout=60).close()
        return "http"
    if server is not None:
        try:
            server.send_message(message)
            return "smtp"
        except smtplib.SMTPServerDisconnected:
            pass  # it had been idle for too long
    host, port = os.environ["SMTP"].rsplit(":", 1)
    server = smtplib.SMTP(host, int(port), timeout=60)
    server.send_message(message)
    return "smtp"


def main():
    global server
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        job = json.loads(line)
        id_ = job["id"]

        def say(**answer):
            print(json.dumps({"id": id_, **answer}, ensure_ascii=True), file=answers, flush=True)

        try:
            payload = job["payload"]
            to = masked(payload["email"])
            way = send(*compose(id_, payload))
            say(log={"level": "info", "category": "email", "code": "SENT", "message": f"to {to} by {way}"})
            say(ok=True, result={"to": to, "by": way, "language": payload.get("language", "mn"), "version": VERSION})
        except (KeyError, TypeError, ValueError) as error:
            say(ok=False, retry=False, error={"code": "bad_payload", "message": masked(error)})
        except Exception as error:
            server = None
            say(log={"level": "error", "category": "email", "code": "NOT_SENT", "message": masked(error)})
            say(ok=False, error={"code": type(error).__name__, "message": masked(error),
                                 "details": {"stack": masked(traceback.format_exc())}})


if __name__ == "__main__":
    main()
