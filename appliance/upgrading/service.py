"""What starts and stops the appliance: systemd, or the process itself where nothing watches over it."""

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from appliance.errors import TransientError
from appliance.settings.environment import of_others

STOPS_WITHIN_SECS: Final = 120.0
UNIT: Final = "dash-appliance"
LAST_BYTES: Final = 4096
MOST_CHARACTERS: Final = 500


class Service(Protocol):
    """Blocking. ``name``: as it is told to people. ``starts``: whether ``start`` starts anything."""

    name: str
    starts: bool

    def stop(self) -> None:
        """Return when it has ended; a second call does nothing. Raises TransientError: it does not end."""
        ...

    def start(self) -> None:
        """Begin it, by what ``current`` leads to; whether it comes up is for others to see. Raises TransientError."""
        ...

    def adopt(self, release: Path) -> str | None:
        """Have what starts it be as the release in this folder brings it; return why that was not possible."""
        ...

    def runs(self) -> bool:
        """Return whether it is there: False, and it has given up."""
        ...

    def last_words(self) -> str:
        """Return the last line of its log, for whoever asks why it ended."""
        ...


class Systemd:
    """A unit of the system's."""

    starts = True

    def __init__(self, unit: str = UNIT) -> None:
        self.name, self._unit = f"the unit {unit}", unit

    def stop(self) -> None:
        self._ask("stop")

    def start(self) -> None:
        # Only that failures before do not count; a unit that stands still and is not enabled is not even loaded.
        self._told("reset-failed")
        self._ask("start", "--no-block")

    def adopt(self, release: Path) -> str | None:
        done = run_as(0, ["/bin/sh", str(release / "installer" / "install.sh"), "refresh"])
        return f"unit files stay as they were: {done.last_words}" if done.code else None

    def runs(self) -> bool:
        return self._told("is-active") in ("active", "activating", "reloading")

    def last_words(self) -> str:
        # By the field, not by -u: what systemd says of a unit that has ended comes last there.
        chosen = ["-b", f"_SYSTEMD_UNIT={self._unit}.service", "-n", "1", "-o", "cat"]
        return said_in(_asked("journalctl", *chosen, "--no-pager").stdout.strip())

    def _ask(self, *deed: str) -> None:
        done = _asked("systemctl", *deed, self._unit)
        if done.returncode:
            raise TransientError(f"systemctl {' '.join(deed)} {self._unit}: {done.stderr.strip() or 'it failed'}")

    def _told(self, asked: str) -> str:
        return _asked("systemctl", asked, self._unit).stdout.strip()


def _asked(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=False, env=of_others())  # noqa: S603


class Standing:
    """An appliance that does not run, and is started by others: what is undone then shows when they start it."""

    name = "nothing that runs"
    starts = False

    def stop(self) -> None: ...

    def start(self) -> None: ...

    def adopt(self, release: Path) -> str | None: ...

    def runs(self) -> bool:
        return False

    def last_words(self) -> str:
        return ""


class Process:
    """A process that somebody started: the next one gets its arguments, its environment, its user and its folder.

    ``program``: the path through ``current``. Its log goes on in ``log``. ``port``: as its arguments say it, or None.
    """

    starts = True

    def __init__(self, pid: int, program: Path, log: Path) -> None:
        self.name = f"process {pid}"
        self._pid, self._log = pid, log
        arguments = _words(pid, "cmdline")
        self._command = [str(program), *_after_program(arguments)]
        self.port = _port(arguments)
        self._environment = of_others(dict(one.split("=", 1) for one in _words(pid, "environ") if "=" in one))
        self._folder = os.readlink(f"/proc/{pid}/cwd")
        self._user = os.stat(f"/proc/{pid}").st_uid
        self._child: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        try:
            os.kill(self._pid, signal.SIGTERM)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + STOPS_WITHIN_SECS
        while self.runs():
            if time.monotonic() > deadline:
                raise TransientError(f"{self.name} does not end within {STOPS_WITHIN_SECS:.0f} s of SIGTERM")
            time.sleep(0.05)

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - the very command that ran before
                self._command, env=self._environment, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True, **_as_user(self._user),
            )  # fmt: skip
        self._pid = self._child.pid

    def adopt(self, release: Path) -> str | None: ...

    def runs(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        try:
            return Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    def last_words(self) -> str:
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - LAST_BYTES))
            lines = log.read().decode("utf-8", "replace").split("\n")
        return said_in(next((line for line in reversed(lines) if line.strip()), ""))


def said_in(line: str) -> str:
    """Return what a line of the log says: of one in JSON, the event and its reason."""
    try:
        told = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError:
        return line[:MOST_CHARACTERS]
    said = [str(told[key]) for key in ("event", "reason", "error", "exception") if told.get(key)]
    return ": ".join(said)[:MOST_CHARACTERS] or line[:MOST_CHARACTERS]


def run_as(user: int, command: Sequence[str]) -> "Done":
    """Run ``command`` as ``user`` (where this process may) to its end."""
    done = subprocess.run(  # noqa: S603 - commands of a release
        # Root's terminal is none of theirs, and Ctrl-C at it is for the upgrade to hear.
        command, capture_output=True, text=True, check=False, env=of_others(), cwd="/", stdin=subprocess.DEVNULL,
        start_new_session=True, **_as_user(user),
    )  # fmt: skip
    return Done(done.returncode, done.stdout.strip(), done.stderr.strip())


class Done:
    """How a command ended, and what it said."""

    def __init__(self, code: int, said: str, complained: str) -> None:
        self.code, self.said, self.complained = code, said, complained

    @property
    def last_words(self) -> str:
        """Return what it said last, for people."""
        lines = (self.complained or self.said).splitlines()
        return lines[-1].removeprefix("error: ") if lines else f"it ended with {self.code}"


def _as_user(user: int) -> dict[str, Any]:
    if user == os.getuid():
        return {}
    found = pwd.getpwuid(user)
    return {"user": user, "group": found.pw_gid, "extra_groups": os.getgrouplist(found.pw_name, found.pw_gid)}


def _words(pid: int, name: str) -> list[str]:
    return [os.fsdecode(one) for one in Path(f"/proc/{pid}/{name}").read_bytes().split(b"\0") if one]


def _after_program(arguments: Sequence[str]) -> Sequence[str]:
    """Return the arguments behind the program, which an interpreter and a module may be part of."""
    return arguments[arguments.index("serve") :] if "serve" in arguments else arguments[1:]


def _port(arguments: Sequence[str]) -> int | None:
    """Return what ``--port`` says; one that was taken freely (0) is known to nobody here."""
    for place, one in enumerate(arguments):
        given = one.partition("=")[2] or (arguments[place + 1] if place + 1 < len(arguments) else "")
        if one.partition("=")[0] == "--port" and given.isdecimal():
            return int(given) or None
    return None
