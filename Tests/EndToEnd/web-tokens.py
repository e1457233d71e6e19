#!/usr/bin/env python3
"""Who is let in: forged, expired, re-roled, unsigned, truncated and foreign tokens; what each role may; login links; limits."""

import json
import os
import subprocess
import time

from daemon import check, finish, program, same, scratch, until
from web import KEY, Web, encoded, token

with Web(config="", web='allowed_origins = []\n[web.roles]\nsuperadmin = "admin"\n[web.rate]\nvisitor = "3/1h"\n') as spool:
    spool.handler("echo", "cat")
    spool.serve()

    def me(text):
        return spool.get("/v1/me", headers={"Authorization": f"Bearer {text}"})

    good = token("viewer", sub="vera")
    same((me(good).status, me(good).json["subject"]), (200, "vera"), "a good token")
    head, body, signature = good.split(".")
    claims = json.loads(__import__("base64").urlsafe_b64decode(body + "=="))
    raised = encoded(json.dumps({**claims, "role": "admin"}).encode())
    wrong = {
        "forged with another key": token(key=b"x" * 32),
        "signed with an empty key": token(key=b""),
        "expired": token(ttl=-1),
        "expiring this second": token(ttl=0),
        "with its role changed": f"{head}.{raised}.{signature}",
        "unsigned (none)": token(header={"alg": "none"}),
        "unsigned (None)": token(header={"alg": "None"}),
        "with HS512": token(header={"alg": "HS512"}),
        "with RS256 in the header": token(header={"alg": "RS256"}),
        "without alg": token(header={"typ": "JWT"}),
        "with crit": token(header={"alg": "HS256", "crit": ["exp"]}),
        "truncated by a letter": good[:-2],
        "without its signature": f"{head}.{body}.",
        "of two parts": f"{head}.{body}",
        "of four parts": good + ".x",
        "without exp": token(exp=None),
        "with exp as text": token(exp="9999999999"),
        "with exp not a number": token(exp=True),
        "without a role": token(role=None),
        "with an unknown role": token(role="root"),
        "not valid yet": token(nbf=int(time.time()) + 60),
        "with a rate that is none": token(rate="many"),
        "too long": token(junk="x" * 9000),
        "a login code": token(use="login"),
        "no token at all": "x",
        "with a subject of control characters": token(sub="a\nb"),
    }
    for what, text in wrong.items():
        answer = me(text)
        check(answer.status == 401 and answer.json.get("code") == "bad_token", f"401 for a token {what}: {answer.status} {answer.body[:120]!r}")
        check(text == "x" or text.encode() not in answer.body, "the answer does not repeat it")
    same(spool.get("/v1/me", headers={"Authorization": "Basic YTpi"}).status, 401, "401 for Basic")
    same(spool.get("/v1/me", token=None).headers["WWW-Authenticate"], "Bearer", "401 says what is wanted")
    same(me(token("superadmin")).json["role"], "admin", "a foreign role is mapped")

    # What each role may.
    job = spool.post("/v1/jobs", {"type": "echo"}, token=token("producer", sub="pia")).json["id"]
    other = spool.post("/v1/jobs", {"type": "echo"}, token=token("operator", sub="olaf")).json["id"]
    spool.wait(job)
    spool.wait(other)
    until(lambda: spool.get("/v1/jobs?state=done").json["total"] == 2, lambda: f"both are listed: {spool.get('/v1/jobs?state=done').body}", 5)
    routes = json.loads(spool.get("/openapi.json").body)
    fill = {"id": other, "name": "none", "type": "echo"}
    may = {
        "open": (True,) * 4, "anyone": (True,) * 4, "own": (True,) * 4, "read": (True, False, True, True),
        "submit": (False, True, True, True), "operate": (False, False, True, True), "admin": (False, False, False, True),
    }
    counted = 0
    for path, methods in routes["paths"].items():
        for method, operation in methods.items():
            url = path
            for name, value in fill.items():
                url = url.replace("{" + name + "}", value)
            for role, allowed in zip(("viewer", "producer", "operator", "admin"), may[operation["x-access"]]):
                # A body that is refused everywhere: nothing is to be changed here.
                answer = spool.call(method.upper(), url, raw=b"{" if method in ("post", "put") else None, token=token(role))
                counted += 1
                if allowed != (answer.status != 403) and "/login" not in path:
                    check(False, f"{role} {method.upper()} {url}: {answer.status}")
            if operation["x-access"] != "open":
                same(spool.call(method.upper(), url, token=None).status, 401, f"{method.upper()} {path} asks for a token")
    same(counted, sum(len(methods) for methods in routes["paths"].values()) * 4, "routes times roles tried")
    pia = token("producer", sub="pia")
    same([row["id"] for row in spool.get("/v1/jobs", token=pia).json["jobs"]], [job], "a producer lists its own")
    same(spool.get(f"/v1/jobs/{job}", token=pia).status, 200, "and reads it")
    for part in ("", "/result", "/log", "/audit", "/why"):
        same(spool.get(f"/v1/jobs/{other}{part}", token=pia).status, 404, f"another's job{part} is none to it")
    user = token("producer", sub=subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip())
    spool.drop("byhand", {"type": "echo"})
    spool.wait("byhand")
    same(spool.get("/v1/jobs", token=user).json["jobs"], [], "a subject named as a Unix user is not that user")
    same(spool.get("/v1/jobs/byhand", token=user).status, 404, "nor sees what that user dropped")
    same(spool.get("/v1/jobs", token=token("producer", sub=None)).status, 403, "a producer without a subject lists nothing")

    # A subject is believed from the web program alone.
    forged = json.dumps({"type": "echo", "jobspool": {"submitted_by": {"subject": "anna"}}}).encode()
    if os.geteuid() == 0:
        staged = spool.at("tmp", "forged.json")
        with open(staged, "wb") as file:
            file.write(forged)
        os.chown(staged, 65534, 65534)
        os.rename(staged, spool.at("new", "forged.json"))
        same(spool.wait("forged", "dead")["error"]["code"], "forged_record", "a stranger's file naming a subject")
        check("subject" not in spool.events("forged", "submitted")[0], "and the log names none")

    # Limits.
    visitor = token("viewer", sub="visitor")
    same([spool.get("/v1/me", token=visitor).status for _ in range(5)], [200, 200, 200, 429, 429], "[web.rate] of a subject")
    later = spool.get("/v1/me", token=visitor)
    check(3500 < int(later.headers["Retry-After"]) <= 3600, f"429 says when: {later.headers['Retry-After']}")
    slow = token("viewer", sub="sam", rate="2/1h")
    same([spool.get("/v1/me", token=slow).status for _ in range(3)], [200, 200, 429], "a token's own rate")
    same(spool.get("/v1/me", token=token("viewer", sub="sam")).status, 200, "another token of the same subject has its own")

    # Login links.
    code = token("operator", sub="lena", use="login", ttl=600)
    login = spool.post("/v1/login", {"code": code}, token=None)
    same((login.status, login.json["role"], login.json["subject"]), (200, "operator", "lena"), "a login")
    same(spool.post("/v1/login", {"code": code}, token=None).status, 401, "a code works once")
    same(me(login.json["token"]).json["subject"], "lena", "its token is good")
    same(spool.post("/v1/login/renew", {}, token=login.json["token"]).status, 200, "and can be renewed")
    same(spool.post("/v1/login/renew", {}, token=good).status, 403, "others cannot")
    for what, body in (("a bearer token", {"code": good}), ("a forged code", {"code": token(use="login", key=b"y" * 32)}),
                       ("an expired code", {"code": token(use="login", ttl=-1)})):
        same(spool.post("/v1/login", body, token=None).status, 401, f"{what} is no login")
    same(spool.post("/v1/login", {}, token=None).status, 400, "a login without a code")
    link = subprocess.run([program("jobspool"), "dashboard", "--spool", spool.path, "--url", "http://127.0.0.1:1"], capture_output=True, text=True).stdout.strip()
    printed = link.split("#login=")[-1]
    same(spool.post("/v1/login", {"code": printed}, token=None).json.get("role"), "admin", "the link of 'jobspool dashboard'")
    made = subprocess.run([program("jobspool"), "token", "create", "--spool", spool.path, "--role", "viewer", "--subject", "cli"],
                          capture_output=True, text=True).stdout.split()
    same(me(made[-1] if made else "").json.get("subject"), "cli", "a token of 'jobspool token create'")
    spool.stop()
    spool.serve()
    same(spool.post("/v1/login", {"code": code}, token=None).status, 401, "nor after a restart")

    # A public key instead.
    if subprocess.run(["openssl", "version"], capture_output=True).returncode == 0:
        for kind, options in (("EdDSA", ["-algorithm", "ed25519"]), ("RS256", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])):
            private = os.path.join(scratch(), f"{kind}.pem")
            public = spool.at("secret", f"{kind}.pub")
            subprocess.run(["openssl", "genpkey", *options, "-out", private], check=True, capture_output=True)
            subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
            text = encoded(json.dumps({"alg": kind}).encode()) + "." + encoded(json.dumps({"sub": "far", "role": "viewer", "exp": int(time.time()) + 600}).encode())
            message = os.path.join(scratch(), "message")
            with open(message, "w") as file:
                file.write(text)
            how = ["pkeyutl", "-sign", "-inkey", private, "-rawin", "-in", message] if kind == "EdDSA" else ["dgst", "-sha256", "-sign", private, message]
            sign = subprocess.run(["openssl", *how], check=True, capture_output=True).stdout
            spool.stop()
            spool.web = f'public_key = "secret/{kind}.pub"'
            spool.serve()
            same(me(f"{text}.{encoded(sign)}").json.get("subject"), "far", f"a token signed with {kind}")
            with open(public, "rb") as file:
                confused = token(key=file.read())
            same(me(confused).status, 401, f"the public key is no HMAC secret ({kind})")
            same(me(good).status, 401, "and secret/web.key does not count beside it")

finish()
