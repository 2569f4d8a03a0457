"""A small machine of its own: systemd as the first process of a tree on this disk, in namespaces. Needs root.

The network is the caller's: whoever wants none but the loopback unshares it first.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ENVIRONMENT: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
PACKAGES: Final = ("systemd", "systemd-sysv", "sudo", "xz-utils", "openssh-client")
# What a small machine has no use for, or what would look for hardware.
_MASKED: Final = (
    "getty@tty1.service", "console-getty.service", "systemd-timesyncd.service", "systemd-networkd.service",
    "systemd-resolved.service", "apt-daily.timer", "apt-daily-upgrade.timer", "fstrim.timer", "e2scrub_all.timer",
    "systemd-udevd.service", "systemd-modules-load.service",
)  # fmt: skip
_BEGIN: Final = """
set -eu
echo $$ > "$2/cgroup.procs"
exec unshare --mount --pid --uts --ipc --cgroup --fork --kill-child sh -eu -c '
    mount --make-rprivate /
    mount --bind "$0" "$0"
    cd "$0"
    mount -t proc proc proc
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount -t tmpfs -o mode=755 tmpfs dev
    mount -t tmpfs -o mode=755 tmpfs run
    mount -t tmpfs -o noexec,nosuid,mode=1777 tmpfs tmp
    mkdir dev/pts dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    for one in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "dev/${one%:*}" c 1 "${one#*:}"; done
    mknod -m 666 dev/tty c 5 0
    mkdir -p .before
    pivot_root . .before
    umount -l .before
    mount --make-rshared /
    hostname machine
    exec chroot . /usr/bin/env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
' "$1"
"""


class Machine:
    """``tree``: a system with systemd in it, made by ``debootstrapped``; it is written to."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self._group = _cgroups() / f"dash-test-{os.getpid()}"
        self._outer: subprocess.Popen[bytes] | None = None
        self._first = 0
        units = tree / "etc/systemd/system"
        for unit in _MASKED:
            if not (units / unit).is_symlink():
                (units / unit).symlink_to("/dev/null")
        (units / "default.target").unlink(missing_ok=True)
        (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
        (tree / "etc/machine-id").write_text("")
        (tree / "etc/hostname").write_text("machine\n")
        (tree / "etc/hosts").write_text("127.0.0.1 localhost machine\n")
        journal = tree / "etc/systemd/journald.conf.d"
        journal.mkdir(parents=True, exist_ok=True)
        # As on a server: the log of before a restart is there afterwards.
        (journal / "kept.conf").write_text("[Journal]\nStorage=persistent\nSystemMaxUse=64M\nRateLimitBurst=0\n")

    def boot(self) -> float:
        """Return when it has come up, after so many seconds."""
        began = time.monotonic()
        self._group.mkdir(exist_ok=True)
        with (self.tree.parent / "machine.log").open("ab") as log:
            command = ["sh", "-c", _BEGIN, "machine", str(self.tree), str(self._group)]
            self._outer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while time.monotonic() < began + 120:
            self._first = _child_of(self._outer.pid)
            state = self.run("systemctl", "is-system-running").stdout.strip() if self._first else ""
            if state in ("running", "degraded"):
                return time.monotonic() - began
            if self._outer.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"the machine did not come up ({self.tree.parent / 'machine.log'})")

    def reboot(self) -> float:
        """Restart it as an administrator does; return the seconds until it was up again."""
        began = time.monotonic()
        self.run("systemctl", "reboot")
        self._ended(120)
        self.boot()
        return time.monotonic() - began

    def power_cut(self) -> None:
        """End every process of it at this moment. What the kernel has in memory stays: no test for fsync."""
        os.kill(self._first, signal.SIGKILL)
        self._ended(30)

    def end(self) -> None:
        """Take it away."""
        if self._outer is not None and self._outer.poll() is None:
            self.power_cut()
        if self._group.exists():
            _removed(self._group)

    def run(self, *command: str, timeout: float = 600, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in it, as root, to its end."""
        return subprocess.run(
            self.command(*command), capture_output=True, text=True, timeout=timeout, check=False,
            env={**ENVIRONMENT, **variables}, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def begin(self, *command: str) -> "subprocess.Popen[str]":
        """Begin a command in it whose output is read while it runs."""
        return subprocess.Popen(
            self.command(*command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def command(self, *words: str) -> list[str]:
        """Return what runs ``words`` in it, for whoever starts processes in his own way."""
        return ["nsenter", "-t", str(self._first), "-m", "-u", "-i", "-p", "-C", "--", *words]

    def pids(self, *words: str) -> list[int]:
        """Return the processes of it (by their numbers here) whose command line has all of ``words``."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and _same_room(int(entry.name), self._first):
                line = _command_line(entry)
                if line and all(word in line for word in words):
                    found.append(int(entry.name))
        return sorted(found)

    def _ended(self, secs: float) -> None:
        if self._outer is not None:
            self._outer.wait(timeout=secs)
        self._outer, self._first = None, 0


def debootstrapped(into: Path, suite: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return a system in ``into``, made anew, or copied from $CLEAN_SYSTEMS/<suite>-systemd where that lies ready."""
    kept = Path(environment.get("CLEAN_SYSTEMS", "/nowhere")) / f"{suite}-systemd"
    if kept.is_dir():
        subprocess.run(["cp", "-a", "--reflink=auto", str(kept), str(into)], check=True)
        return into
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(into)]
    subprocess.run(command, check=True, capture_output=True, timeout=1200)
    return into


def missing() -> str | None:
    """Return why no such machine can be made here; None: it can."""
    if os.getuid() != 0:
        return "it needs root"
    gone = [tool for tool in ("debootstrap", "unshare", "nsenter", "pivot_root") if shutil.which(tool) is None]
    if gone:
        return f"it needs {', '.join(gone)}"
    return None if _found_cgroups() is not None else "it needs control groups (version 2) that it can write"


def _found_cgroups() -> Path | None:
    places = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
    return next((one for one in places if (one / "cgroup.procs").exists() and os.access(one, os.W_OK)), None)


def _cgroups() -> Path:
    found = _found_cgroups()
    if found is None:
        raise RuntimeError("there are no control groups of version 2 here")
    return found


def _removed(group: Path) -> None:
    """Control groups go from the leaves on, when their last process has gone."""
    deadline = time.monotonic() + 10
    while group.exists() and time.monotonic() < deadline:
        for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            _try_to_remove(folder)
        _try_to_remove(group)
        time.sleep(0.05)


def _try_to_remove(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return


def _child_of(pid: int) -> int:
    """Return the process that runs as the first one in the namespace; 0: not yet."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children and os.readlink(f"/proc/{children[0]}/exe").endswith("systemd") else 0
    except OSError:
        return 0


def _same_room(pid: int, other: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid") == os.readlink(f"/proc/{other}/ns/pid")
    except OSError:
        return False


def _command_line(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""
