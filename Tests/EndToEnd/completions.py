#!/usr/bin/env python3
"""The completions that the package installs, in the shells themselves: keys are typed into an interactive bash, fish is
asked, zsh completes in a pseudo-terminal. A shell that is not installed is passed over, bash is not."""

import os
import pty
import re
import select
import shutil
import subprocess
import time

import daemon
from daemon import PATIENCE, check, finish, program, same, say

scratch = daemon.scratch()
bin_ = os.path.join(scratch, "bin")
home = os.path.join(scratch, "home")
for folder in (bin_, home, f"{home}/zsh", f"{home}/.config/fish"):
    os.makedirs(folder)
os.symlink(program("jobspool"), f"{bin_}/jobspool")
files = {}
for shell in ("bash", "zsh", "fish"):
    text = subprocess.run([program("jobspool"), "--generate-completion-script", shell], check=True, capture_output=True,
                          text=True, timeout=30).stdout
    files[shell] = f"{home}/zsh/_jobspool" if shell == "zsh" else f"{home}/jobspool.{shell}"
    with open(files[shell], "w") as file:
        file.write(text)
environment = {"PATH": f"{bin_}:/usr/bin:/bin", "HOME": home, "TERM": "dumb", "LC_ALL": "C.UTF-8", "PS1": "ready> ",
               "JOBSPOOL_DIR": scratch, "ZDOTDIR": home}
EXPECTED = [
    ("jobspool sub", "jobspool submit"),
    ("jobspool submit echo --prio", "--priority"),
    ("jobspool schedules sim", "simulate"),
    ("jobspool backup --with-s", "--with-secrets"),
    ("jobspool req", "requeue"),
]


class Terminal:
    """An interactive shell; what it echoes comes back with what it completed."""

    def __init__(self, *words):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(words[0], list(words), environment)
        self.text = ""

    def until(self, wanted):
        end = time.monotonic() + PATIENCE
        while wanted not in self.text and time.monotonic() < end:
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.text += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:
                    return False
        return wanted in self.text

    def type(self, text):
        os.write(self.fd, text.encode())

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def typed(shell, terminal):
    for line, wanted in EXPECTED:
        terminal.text = ""
        terminal.type(line + "\t")
        check(terminal.until(wanted), f"{shell}: {line}⇥ gives {wanted}" + ("" if wanted in terminal.text else f": {terminal.text!r}"))
        # The line is thrown away (Ctrl-U), and the next one begins afresh.
        terminal.type("\x15echo fre''sh\r")
        check(terminal.until("fresh"), f"{shell}: goes on")
    terminal.close()


same(subprocess.run(["bash", "-n", files["bash"]]).returncode, 0, "bash reads the file")
terminal = Terminal("bash", "--norc", "--noprofile", "-i")
terminal.type(f"source {files['bash']}; echo rea''dy\r")
check(terminal.until("ready"), "an interactive bash has it")
typed("bash", terminal)
shells = ["bash"]
if shutil.which("zsh"):
    same(subprocess.run(["zsh", "-n", files["zsh"]]).returncode, 0, "zsh reads the file")
    terminal = Terminal("zsh", "-f", "-i")
    terminal.type(f"fpath=({home}/zsh $fpath); autoload -Uz compinit; compinit -u -D; echo rea''dy\r")
    check(terminal.until("ready"), "an interactive zsh has it")
    typed("zsh", terminal)
    shells.append("zsh")
if shutil.which("fish"):
    same(subprocess.run(["fish", "--no-execute", files["fish"]], env=environment).returncode, 0, "fish reads the file")
    for line, wanted in EXPECTED:
        answer = subprocess.run(["fish", "--no-config", "-c", f"source {files['fish']}; complete -C '{line}'"],
                                capture_output=True, text=True, env=environment, timeout=60)
        found = [re.split(r"\t", one)[0] for one in answer.stdout.splitlines()]
        wanted = wanted.split()[-1]
        check(wanted in found, f"fish: {line}⇥ gives {wanted}" + ("" if wanted in found else f": {answer.stdout}{answer.stderr}"))
    shells.append("fish")
say(f"{len(EXPECTED)} lines completed in {', '.join(shells)}")
finish()
