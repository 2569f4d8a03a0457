"""Which backups are kept: the newest ones, then one a day, a week and a month."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from appliance.domain.backup import Backup

_Some = Annotated[int, Meta(ge=0, le=10_000)]


class Keeping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``last``: so many of the newest, whatever their age. The others: the newest of each of so many days (UTC),
    ISO weeks and months that have one. What any of the four keeps is kept."""

    last: Annotated[int, Meta(ge=1, le=10_000)] = 24
    daily: _Some = 7
    weekly: _Some = 5
    monthly: _Some = 12


def to_remove(backups: Iterable[Backup], keeping: Keeping) -> list[Backup]:
    """Return the backups that go, oldest first. Each node's are counted by themselves."""
    nodes: dict[str, list[Backup]] = {}
    for one in backups:
        nodes.setdefault(one.node, []).append(one)
    doomed = [one for own in nodes.values() for one in _of_one(own, keeping)]
    return sorted(doomed, key=lambda one: (one.at, one.id))


def _of_one(backups: list[Backup], keeping: Keeping) -> list[Backup]:
    newest = sorted(backups, key=lambda one: (one.at, one.id), reverse=True)
    kept = {one.id for one in newest[: keeping.last]}
    for count, period in ((keeping.daily, _day), (keeping.weekly, _week), (keeping.monthly, _month)):
        kept |= _firsts(newest, count, period)
    return [one for one in newest if one.id not in kept]


def _firsts(newest: list[Backup], count: int, period: Callable[[datetime], tuple[int, ...]]) -> set[str]:
    """Return the newest backup of each of the ``count`` newest periods that have one."""
    found: dict[tuple[int, ...], str] = {}
    for one in newest:
        found.setdefault(period(one.at.astimezone(UTC)), one.id)
    return set(list(found.values())[:count])


def _day(at: datetime) -> tuple[int, ...]:
    return at.year, at.month, at.day


def _week(at: datetime) -> tuple[int, ...]:
    return tuple(at.isocalendar()[:2])


def _month(at: datetime) -> tuple[int, ...]:
    return at.year, at.month
