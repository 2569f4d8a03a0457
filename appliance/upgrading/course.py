"""The course of an upgrade, step by step, each written down before it is taken; and of going back.

A crash between two steps leaves ``upgrade.json``: ``take_up`` undoes what it tells of.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from appliance.domain.finding import Examined
from appliance.domain.upgrade import Outcome
from appliance.errors import DashError, FatalError, NotFound, TransientError
from appliance.upgrading.health import Gate
from appliance.upgrading.releases import Releases
from appliance.upgrading.service import Done, Service, run_as
from appliance.upgrading.undisturbed import to_be_interrupted, undisturbed


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


class _Kept(msgspec.Struct, frozen=True):
    """A snapshot, as the command that lists them tells of it."""

    id: str
    version: str
    why: str


class _Listed(msgspec.Struct, frozen=True):
    items: list[_Kept]


WHY: Final = "before "  # what snapshots of upgrades are for, and the release that comes
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
        self._noted = Noted(Step.STOP, self._releases.current, after)
        with undisturbed():
            try:
                with to_be_interrupted():
                    trouble = self._over()
            except (DashError, OSError) as error:
                trouble = str(error)
            if trouble is None:
                self._releases.done()
                self._tell(Step.DONE, f"{after} is in use")
            else:
                self._back(self._noted, trouble)
        return Outcome(self._noted.before, after, trouble, self._noted.snapshot)

    def _over(self) -> str | None:
        """Take the steps; return why the new release is not well, None: it is."""
        noted = self._noted
        self._take(noted, self._service.name)
        self._service.stop()
        if self._data.copies:
            self._take(replace(noted, step=Step.SNAPSHOT), "control plane and rows")
            noted = replace(noted, snapshot=self._snapshot(noted))
        self._take(replace(noted, step=Step.SWITCH), noted.after)
        self._use(noted.after)
        self._tell(Step.START, self._service.name)
        self._service.start()
        self._tell(Step.HEALTH, "waiting until it is well")
        return self._gate.trouble(noted.after, self._service)

    def at_present(self) -> Examined:
        """Look at what runs now: a release that is not well before would not be well after going back to it either."""
        trouble = self._gate.look(self._releases.current)
        if not trouble:
            return Examined("health", "fine", f"{self._releases.current} runs, and is well")
        return Examined("health", "bad", f"what runs now is not well: {trouble}", "mend that first; 'doctor' helps")

    def back(self, to: str, snapshot: str | None) -> Outcome:
        """Go back to the release ``to``, and the data to ``snapshot`` (None: as they are), because somebody wants it.

        Raises:
            FatalError: as ``run``.
        """
        before = self._releases.current
        with undisturbed():
            self._back(Noted(Step.BACK, to, before, snapshot), "somebody asked for it")
        return Outcome(before, to, snapshot=snapshot)

    def take_up(self) -> Outcome:
        """Undo what a crash cut short.

        Raises:
            NotFound: nothing was.
            FatalError: as ``run``.
        """
        noted: Noted | None = self._releases.noted(Noted)
        if noted is None:
            raise NotFound("no upgrade was cut short")
        with undisturbed():
            self._back(noted, "it was cut short")
        return Outcome(noted.before, noted.after, "it was cut short", noted.snapshot)

    def tidy(self, gone: Sequence[str]) -> None:
        """Remove snapshots that upgrades took and nobody goes back to: of releases that are ``gone``, and all but the
        newest of each other one. What cannot be removed stays, which is no failure of an upgrade."""
        with suppress(DashError, OSError, msgspec.DecodeError):
            current = self._releases.current
            told = self._command(current, "backup", "snapshot", "list", "--json").said
            taken = [one for one in msgspec.json.decode(told, type=_Listed).items if one.why.startswith(WHY)]
            newest = {one.version: one.id for one in taken if one.version not in gone}  # the last one stays
            for one in taken:
                if one.id != newest.get(one.version):
                    self._command(current, "backup", "snapshot", "drop", one.id)

    def _back(self, noted: Noted, why: str) -> None:
        """Stop, put back, switch, start: whatever of it was done before is done again, which changes nothing."""
        self._take(replace(noted, step=Step.BACK), f"to {noted.before}: {why}")
        try:
            self._service.stop()
            if noted.snapshot is not None:
                self._command(noted.before, "backup", "snapshot", "put-back", noted.snapshot)
            self._use(noted.before)
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

    def _use(self, version: str) -> None:
        """Have it be the one in use. A unit file that cannot be exchanged is told, and no reason to stand still."""
        self._releases.use(version)
        if (told := self._service.adopt(self._releases.folder(version))) is not None:
            self._tell(Step.SWITCH, told)

    def _take(self, noted: Noted, about: str) -> None:
        self._noted = noted
        self._releases.note(noted)
        self._tell(noted.step, about)

    def _tell(self, step: Step, about: str) -> None:
        """A terminal that is gone is no reason to stop here."""
        with suppress(OSError):
            self._said(step, about)

    def _snapshot(self, noted: Noted) -> str:
        done = self._command(noted.before, "backup", "snapshot", "take", "--json", "--why", f"{WHY}{noted.after}")
        found: str = msgspec.json.decode(done.said)["id"]
        return found

    def _command(self, version: str, *words: str) -> Done:
        """Run a command of a release as the user of the service. Raises DashError: it failed."""
        done = run_as(self._data.user, [str(self._releases.program(version)), *words, *self._data.located])
        if done.code:
            raise TransientError(f"'{' '.join(words)}' of {version}: {done.last_words}")
        return done
