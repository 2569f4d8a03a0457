"""Moves the control plane of a stopped appliance between the data directory and a database: what switches, last."""

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from appliance.components.durable import sync_directory
from appliance.domain.database.access import Access
from appliance.errors import ConfigError, Problem
from appliance.placing import CONTROL_FILE, ELSEWHERE, is_set_up
from appliance.settings.chosen import come_back, leave_database
from appliance.storage.control import transfer
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.vault import Vault

PART: Final = "control.moving"
Place = Path | Access


class Move(msgspec.Struct, frozen=True):
    """``counts``: rows by table. ``set_aside``: the former file that was in the way, under its new name."""

    source: str
    target: str
    counts: dict[str, int]
    set_aside: str | None = None


def plan(data_dir: Path, source: Place) -> dict[str, int]:
    """Return what would be moved; blocking, changes nothing.

    Raises:
        ConfigError: there is nothing to move.
    """
    plane = ControlPlane.look(_there(source))
    try:
        if not plane.is_there() or not plane.read_now(is_set_up):
            raise _nothing(source)
        return transfer.counts(plane)
    finally:
        plane.close()


def move(
    data_dir: Path, source: Place, target: Place, told: transfer.Told, switch: Callable[[datetime], None] | None = None
) -> Move:
    """Copy the control plane; blocking. The caller owns the data directory. ``source`` is left as it is.

    ``switch``: called before a file that is whole by then gets the right name.

    Raises:
        ConfigError, Conflict, FatalError, TransientError: see ``plan`` and ``transfer.copy``; nothing has changed.
    """
    plan(data_dir, source)
    vault = Vault.open(data_dir, create=False)
    now = datetime.now(UTC)
    old = ControlPlane.open(source)
    try:
        if isinstance(target, Access):
            counts = _into(target, lambda new: transfer.copy(old, new, vault, told, now))
            aside = None
            (data_dir / ELSEWHERE).write_text(f"{target.dsn}\n", "utf-8")
            come_back(data_dir, target.dsn, target.schema)
        else:
            counts = _filled(target, lambda new: transfer.copy(old, new, vault, told, now))
            aside = _put_in_place(target, now, switch)
            (data_dir / ELSEWHERE).unlink(missing_ok=True)
            if isinstance(source, Access):  # whoever still names it must not begin again in the past
                leave_database(data_dir, source.dsn, source.schema)
    finally:
        old.close()
    return Move(name_of(source), name_of(target), counts, None if aside is None else aside.name)


def check_target(source: Place, target: Place) -> None:
    """Return if something may be moved from ``source`` to ``target``, as far as can be seen; blocking.

    Raises:
        Conflict: there is something, or something else is on its way there.
        ConfigError, TransientError: it cannot be looked at.
    """
    if not isinstance(target, Access):
        return  # what is in the way there is set aside
    plane = ControlPlane.look(target)
    try:
        transfer.check(plane, told_from(source))
    finally:
        plane.close()


def has_arrived(source: Place, target: Place) -> bool:
    """Return whether ``move`` has come to its end but for what remembers it, when something ended it; blocking."""
    if not isinstance(target, Access):
        return False  # that is done once more, which harms nothing: what it comes from is as it was
    here, there = ControlPlane.look(source), ControlPlane.look(target)
    try:
        return there.is_there() and here.read_now(
            lambda old: there.read_now(lambda new: transfer.has_arrived(old, new))
        )
    finally:
        here.close()
        there.close()


def told_from(source: Place) -> str:
    """Return what the mark of a move says of where it comes from."""
    return f"{name_of(source)} on {socket.gethostname()}"


def name_of(place: Place) -> str:
    """Return how a place is told."""
    return str(place) if isinstance(place, Path) else f"{place.dsn}, schema {place.schema!r}"


def _into(target: Place, work: Callable[[ControlPlane], transfer.Counts]) -> transfer.Counts:
    plane = ControlPlane.open(target)
    try:
        return work(plane)
    finally:
        plane.close()


def _filled(target: Path, work: Callable[[ControlPlane], transfer.Counts]) -> transfer.Counts:
    """Fill a file beside the right one."""
    part = target.with_name(PART)
    _remove(part)
    try:
        return _into(part, work)
    except BaseException:
        _remove(part)
        raise


def _put_in_place(target: Path, now: datetime, switch: Callable[[datetime], None] | None) -> Path | None:
    """Give the file that is whole the right name; a former one is kept, and returned."""
    if switch is not None:
        switch(now)
    aside = target.with_name(f"{target.name}.before-{now:%Y%m%dT%H%M%SZ}") if target.exists() else None
    if aside is not None:
        for ending in ("-wal", ""):  # the log first: without it the file alone would be an older state
            if (former := target.with_name(target.name + ending)).exists():
                former.rename(aside.with_name(aside.name + ending))
    target.with_name(PART).rename(target)
    sync_directory(target.parent)
    return aside


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _there(source: Place) -> Place:
    if isinstance(source, Path) and not source.exists():
        raise _nothing(source)
    return source


def _nothing(source: Place) -> ConfigError:
    told = f"there is nothing to move in {name_of(source)}: nobody has set Dash up there"
    hint = f"start with database.url set, and everything is made there; {CONTROL_FILE} is only made without it"
    return ConfigError([Problem("database.url", told, hint=hint)])
