"""The course of an upgrade, step by step, each written down before it is taken; and of going back.

A crash between two steps leaves ``upgrade.json``: ``take_up`` undoes what it tells of.
"""

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Final

import msgspec

from appliance.errors import DashError, FatalError
from appliance.upgrading.health import Gate
from appliance.upgrading.releases import Releases
from appliance.upgrading.service import Done, Service, run_as


class Step(Enum):
    """In this order; from SNAPSHOT on the service stands still."""

    UNPACK = "unpack"
    STOP = "stop"
    SNAPSHOT = "snapshot"
    SWITCH = "switch"
    START = "start"
    HEALTH = "health"
    DONE = "done"
    BACK = "back"  # undoing, for what ``Outcome.trouble`` says


class Noted(msgspec.Struct, frozen=True):
    """What ``upgrade.json`` holds. ``snapshot``: None where there is nothing to put back."""

    step: Step
    before: str
    after: str
    snapshot: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """``trouble``: why it went back; None: ``after`` is in use. ``snapshot``: what the former state is kept as."""

    before: str
    after: str
    trouble: str | None = None
    snapshot: str | None = None


class Data(msgspec.Struct, frozen=True):
    """Where the appliance keeps its data, by which settings, as whom it runs. ``copies``: snapshots are possible."""

    data_dir: Path
    config: Path | None
    user: int
    copies: bool = True

    @property
    def located(self) -> list[str]:
        """Return the options that every command is told by where it works."""
        return ["--data-dir", str(self.data_dir), *(["--config", str(self.config)] if self.config else [])]


Said = Callable[[Step, str], None]


class Course:
    """``said``: told of each step as it begins."""

    def __init__(self, releases: Releases, service: Service, data: Data, gate: Gate, said: Said) -> None:
        self._releases, self._service, self._data, self._gate, self._said = releases, service, data, gate, said

    def run(self, after: str) -> Outcome:
        """Go over to ``after``, which is unpacked; or be back at what was in use before, and say why.

        Raises:
            FatalError: it could not go back either; the message says what to do by hand.
        """
        before, snapshot = self._releases.current, None
        try:
            self._take(Step.STOP, Noted(Step.STOP, before, after), self._service.name)
            self._service.stop()
            if self._data.copies:
                self._take(Step.SNAPSHOT, Noted(Step.SNAPSHOT, before, after), "control plane and rows")
                snapshot = self._snapshot(before, after)
            self._take(Step.SWITCH, Noted(Step.SWITCH, before, after, snapshot), after)
            self._releases.use(after)
            self._said(Step.START, self._service.name)
            self._service.start()
            self._said(Step.HEALTH, "waiting until it is well")
            trouble = self._gate.trouble(after, self._service)
        except (DashError, OSError) as error:
            trouble = str(error)
        if trouble is None:
            self._releases.done()
            self._said(Step.DONE, f"{after} is in use")
            return Outcome(before, after, snapshot=snapshot)
        self._back(Noted(Step.BACK, before, after, snapshot), trouble)
        return Outcome(before, after, trouble, snapshot)

    def back(self, to: str, snapshot: str | None) -> Outcome:
        """Go back to the release ``to``, and the data to ``snapshot`` (None: as they are), because somebody wants it.

        Raises:
            FatalError: as ``run``.
        """
        before = self._releases.current
        self._service.stop()
        self._back(Noted(Step.BACK, to, before, snapshot), "somebody asked for it")
        return Outcome(before, to, snapshot=snapshot)

    def take_up(self) -> Outcome | None:
        """Undo what a crash cut short; None: nothing was."""
        noted: Noted | None = self._releases.noted(Noted)
        if noted is None:
            return None
        self._back(noted, "it was cut short")
        return Outcome(noted.before, noted.after, "it was cut short", noted.snapshot)

    def _back(self, noted: Noted, why: str) -> None:
        """Stop, put back, switch, start: whatever of it was done before is done again, which changes nothing."""
        self._take(Step.BACK, msgspec.structs.replace(noted, step=Step.BACK), f"to {noted.before}: {why}")
        try:
            self._service.stop()
            if noted.snapshot is not None:
                self._command(noted.before, "backup", "snapshot", "put-back", noted.snapshot)
            self._releases.use(noted.before)
            self._service.start()
            trouble = self._gate.trouble(noted.before, self._service) if self._service.starts else None
        except (DashError, OSError) as error:
            trouble = str(error)
        if trouble is not None:
            raise FatalError(
                f"going back to {noted.before} (because {why}) failed: {trouble}",
                "nothing is lost: look at the log of the service, then run 'dash-appliance upgrade --resume'",
            )
        self._releases.done()

    def _take(self, step: Step, noted: Noted, about: str) -> None:
        self._releases.note(noted)
        self._said(step, about)

    def _snapshot(self, before: str, after: str) -> str:
        done = self._command(before, "backup", "snapshot", "take", "--json", "--why", f"before {after}")
        found: str = msgspec.json.decode(done.said)["id"]
        return found

    def _command(self, version: str, *words: str) -> Done:
        """Run a command of a release as the user of the service. Raises DashError: it failed."""
        done = run_as(self._data.user, [str(self._releases.program(version)), *words, *self._data.located])
        if done.code:
            raise CommandFailed(f"'{' '.join(words)}' of {version}: {done.last_words}")
        return done


class CommandFailed(DashError):
    """A command of a release ended otherwise than well."""

    code: Final = "E_COMMAND"  # type: ignore[misc]
