"""When backups are taken, and what became of them: which one is due."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from appliance.domain.backup import Kind
from appliance.domain.backup_keeping import Keeping
from appliance.domain.schedule import Cron

_CRON: Final = "Five cron fields, or null for never"


class BackupPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When backups are taken and how long they are kept. Where both kinds are due, the full one is taken."""

    incremental: Annotated[str | None, Meta(description=_CRON, examples=["7 * * * *"])] = "7 * * * *"
    full: Annotated[str | None, Meta(description=_CRON, examples=["30 2 * * *"])] = "30 2 * * *"
    timezone: Annotated[str, Meta(description="IANA name, for both", examples=["Europe/Zurich"])] = "UTC"
    verify: Annotated[bool, Meta(description="Read each full backup whole after it was taken, and open it")] = True
    keep: Annotated[Keeping, Meta(description="What pruning leaves, after each backup")] = Keeping()

    def problems(self) -> list[tuple[str, str]]:
        """Return what is wrong with it, each with its field."""
        found = []
        midnight = "0 0 * * *"  # any expression will do to try the time zone with
        for name, text, zone in (
            ("incremental", self.incremental, "UTC"),
            ("full", self.full, "UTC"),
            ("timezone", midnight, self.timezone),
        ):
            try:
                Cron(text or midnight, zone)
            except ValueError as error:
                found.append((name, str(error)))
        return found

    def next_at(self, after: datetime) -> datetime | None:
        """Return when the next one is due; None: never."""
        crons = [cron for name in (self.incremental, self.full) if (cron := self._cron(name)) is not None]
        return min((cron.due(after) for cron in crons), default=None)

    def due(self, record: "BackupRecord", now: datetime) -> tuple[Kind, datetime] | None:
        """Return which backup is due at ``now``, and since when; None: none is. What was missed is made up for once."""
        for kind, text in ((Kind.FULL, self.full), (Kind.INCREMENTAL, self.incremental)):
            cron = self._cron(text)
            if cron is not None and (slot := cron.due(record.after(kind))) <= now:
                return kind, slot
        return None

    def gap(self, now: datetime) -> timedelta | None:
        """Return the longest pause between two backups of the next few; None: none are taken."""
        slots, at = [], now
        for _ in range(8):
            following = self.next_at(at)
            if following is None:
                return None
            slots.append(following)
            at = following
        return max(later - earlier for earlier, later in pairwise(slots))

    def _cron(self, text: str | None) -> Cron | None:
        return None if text is None else Cron(text, self.timezone)


class BackupRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the backups of one node. ``begun_at``: since when it is asked for any; ``asked_full_at`` and
    ``asked_at``: the newest instants of the schedule that a job was made for."""

    begun_at: datetime
    asked_full_at: datetime | None = None
    asked_at: datetime | None = None
    last_at: datetime | None = None
    last_full_at: datetime | None = None
    last_id: str | None = None
    bytes: int = 0
    new_bytes: int = 0
    took_secs: float = 0.0
    failures: int = 0  # since the last that succeeded
    failed_at: datetime | None = None
    error: str | None = None
    verified_at: datetime | None = None
    wrong: str | None = None  # what the last verification found

    def after(self, kind: Kind) -> datetime:
        """Return since when a backup of ``kind`` can be due. A full one counts as an incremental one too."""
        full = [self.begun_at, self.asked_full_at, self.last_full_at]
        any_kind = [*full, self.asked_at, self.last_at]
        return max(one for one in (full if kind is Kind.FULL else any_kind) if one is not None)

    def overdue(self, plan: BackupPlan, now: datetime) -> timedelta | None:
        """Return for how long none has succeeded, if that is longer than twice the schedule's longest pause."""
        gap = plan.gap(now)
        since = now - (self.last_at or self.begun_at)
        return since if gap is not None and since > 2 * gap else None
