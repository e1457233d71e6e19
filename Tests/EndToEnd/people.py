"""A spool with the permissions of the Debian package, and people of different rights around it: for scripts that run as root,
who can be all of them. Not executable: it is no test of its own. Standard library only."""

import os
import re
import shutil
import subprocess
import traceback

from daemon import Spool, TOP, check, program, scratch, skip

# Numbers that need no account: the daemon, two producers, somebody else; groups of producers and operators.
DAEMON, ANNA, BERT, CARL = 60101, 60102, 60103, 60104
PRODUCERS, OPERATORS = 60201, 60202


def needed(*more):
    if os.geteuid() != 0:
        skip("needs root, to be several users")
    for tool in ("setpriv", "setfacl", *more):
        if not shutil.which(tool):
            skip(f"{tool} is not installed")


def lay_out(spool, daemon=DAEMON, producers=PRODUCERS, operators=OPERATORS, web=None):
    """The folders as packaging/debian/jobspool.tmpfiles says, with other numbers and in another place."""
    with open(os.path.join(TOP, "packaging", "debian", "jobspool.tmpfiles")) as file:
        lines = [line.split() for line in file if not line.startswith("#")]
    who = {"jobspool": {"user": daemon, "group": producers}, "jobspool-admin": {"group": operators}, "-": {}}
    for kind, path, mode, user, group, *rest in lines:
        if not path.startswith("/var/spool/jobspool"):
            continue
        path = path.replace("/var/spool/jobspool", spool.path, 1)
        if kind == "d":
            os.makedirs(path, exist_ok=True)
            os.chown(path, who[user]["user"], who[group]["group"])
            os.chmod(path, int(mode, 8))
        else:
            acl = rest[1].replace("g:jobspool-admin", f"g:{operators}")
            acl = acl.replace("u:jobspool-web", f"u:{web}") if web else re.sub(r"(d:)?u:jobspool-web:[rwx-]+,?", "", acl)
            # As systemd-tmpfiles does it, without a new mask.
            if subprocess.run(["setfacl", "-n", "-m", acl, path], stderr=subprocess.DEVNULL).returncode != 0:
                skip("the file system has no access control lists")


class Shared(Spool):
    """A system spool: its daemon runs as a user of its own with the one capability that the packaged unit gives it."""

    def __init__(self, name="spool", config=""):
        super().__init__(name, config)
        os.chmod(scratch(), 0o755)
        self.programs = os.path.join(scratch(), "bin")
        os.makedirs(self.programs, exist_ok=True)
        for one in ("jobspoold", "jobspool", "jobspool-watch"):
            if not os.path.exists(os.path.join(self.programs, one)):
                shutil.copy(program(one), self.programs)
        os.chmod(self.programs, 0o755)

    def open_up(self):
        """Once the handlers are written."""
        for path in (self.at("handlers"), self.at("handlers", "bin"), self.at("schedules")):
            os.chmod(path, 0o755)
        shutil.rmtree(self.at("secret"), ignore_errors=True)
        lay_out(self)

    def begin(self, *limits):
        """Starts the daemon; `limits` are words of prlimit(1) before it."""
        prefix = [*limits, "setpriv", f"--reuid={DAEMON}", f"--regid={OPERATORS}", f"--groups={OPERATORS}",
                  "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search",
                  "--bounding-set=-all,+dac_read_search", "--"]
        return self.start(binary=os.path.join(self.programs, "jobspoold"), prefix=prefix)


def words(uid, groups, *command):
    """A command as that user, for subprocess."""
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--groups", ",".join(map(str, groups or [uid])), "--", *command]


def become(uid, groups=(PRODUCERS,)):
    os.setgroups(list(groups))
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    os.umask(0o027)


def begin_as(uid, body, *arguments, groups=(PRODUCERS,)):
    """Runs the function in a process of that user, beside us; its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        become(uid, groups)
        body(*arguments)
        code = 0
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        os._exit(code)


def end_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def as_user(uid, body, *arguments, groups=(PRODUCERS,)):
    """The same, to its end."""
    return check(end_of(begin_as(uid, body, *arguments, groups=groups)) == 0, f"{uid} does {body.__name__}")
