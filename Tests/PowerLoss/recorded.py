"""Disks of which every write and flush is recorded, and disks as a power cut would have left them. Not executable: no test of
its own."""

import contextlib
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "EndToEnd"))
from daemon import skip  # noqa: E402

SIZES = {"ext4": "256M", "xfs": "400M", "btrfs": "400M"}
MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"],
    "xfs": ["mkfs.xfs", "-q", "-K"],
    "btrfs": ["mkfs.btrfs", "-q", "-K"],
}
# A daemon of another suite may keep an earlier cut of the same disk mounted in its namespace, which XFS would object to.
CUT_OPTIONS = {"xfs": "loop,nouuid"}


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


def unmount(folder, *command):
    """Handlers of a killed daemon may have their last moments in it, and the kernel lets go of a loop device in its time."""
    command = command or ("umount",)
    for _ in range(3000):
        if subprocess.run([*command, folder], stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(0.02)
    run(*command, folder)


def build(folder):
    """The three small C programs, beside the recording."""
    for tool in ("cc", "pkg-config", "losetup", "fusermount3", "unshare"):
        if not shutil.which(tool):
            skip(f"{tool} is not installed (Debian: gcc pkg-config mount fuse3 libfuse3-dev util-linux)")
    if subprocess.run(["pkg-config", "--exists", "fuse3"]).returncode:
        skip("libfuse3-dev is not installed")
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse") or not os.path.exists("/dev/loop-control"):
        skip("power cuts need root, /dev/fuse and loop devices")
    flags = run("pkg-config", "--cflags", "--libs", "fuse3").stdout.split()
    run("cc", "-O2", "-o", f"{folder}/blockrecord", f"{HERE}/blockrecord.c", *flags)
    run("cc", "-O2", "-o", f"{folder}/blockreplay", f"{HERE}/blockreplay.c")
    run("cc", "-O2", "-shared", "-fPIC", "-o", f"{folder}/nosync.so", f"{HERE}/nosync.c", "-ldl")


class Disk:
    """A file system on a recorded disk."""

    def __init__(self, kind, folder, tools):
        self.kind, self.folder, self.tools = kind, folder, tools
        self.image, self.base, self.log = f"{folder}/image", f"{folder}/base", f"{folder}/log"
        self.mount, self.fuse = f"{folder}/mnt", f"{folder}/fuse"
        for path in (self.mount, self.fuse):
            os.makedirs(path, exist_ok=True)
        run("truncate", "-s", SIZES[kind], self.image)
        run(*MAKE[kind], self.image)
        run("cp", "--sparse=always", self.image, self.base)

    def __enter__(self):
        self.recorder = subprocess.Popen(
            [f"{self.tools}/blockrecord", self.image, self.log, self.fuse],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not os.path.exists(f"{self.fuse}/disk"):
            if time.monotonic() > end or self.recorder.poll() is not None:
                skip("FUSE file systems cannot be mounted here")
            time.sleep(0.01)
        self.loop = run("losetup", "-f", "--show", f"{self.fuse}/disk").stdout.strip()
        try:
            run("mount", self.loop, self.mount)
        except subprocess.CalledProcessError as error:
            self.close(mounted=False)
            skip(f"{self.kind} cannot be mounted here: {error.stdout}")
        return self

    def __exit__(self, *error):
        self.close()

    def close(self, mounted=True):
        if mounted:
            unmount(self.mount)
        run("losetup", "-d", self.loop)
        unmount(self.fuse, "fusermount3", "-u")
        self.recorder.wait(30)

    def seq(self):
        with open(f"{self.fuse}/seq") as file:
            return int(file.read())

    @contextlib.contextmanager
    def cut(self, at, how, seed):
        """The disk after a power cut, mounted; None, and what mount said, when it cannot be."""
        image = f"{self.folder}/cut"
        run("cp", "--sparse=always", self.base, image)
        run(f"{self.tools}/blockreplay", image, self.log, str(at), how, str(seed))
        options = CUT_OPTIONS.get(self.kind, "loop")
        mount = ["mount", "-o", options, image, self.mount]
        mounted = subprocess.run(mount, capture_output=True, text=True)
        self.is_rescued = mounted.returncode != 0 and self.kind == "btrfs"
        if self.is_rescued:
            # A torn superblock is put back from its copy, as an administrator would.
            subprocess.run(["btrfs", "rescue", "super-recover", "-y", image], capture_output=True)
            mounted = subprocess.run(mount, capture_output=True, text=True)
        try:
            yield self.mount if mounted.returncode == 0 else None, mounted.stderr.strip()
        finally:
            if mounted.returncode == 0:
                unmount(self.mount)
            os.unlink(image)

