"""What is asked about replays, and what is answered."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from appliance.domain.ids import PipelineId
from appliance.domain.mapping import Mapping
from appliance.domain.replay import Replay, ReplayProgress, ReplayState
from appliance.services.columns import column_changes


class ReplayRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Nothing given: everything that Bronze holds, by the version that runs, swapped in when it is rebuilt."""

    version: Annotated[int, Meta(description="A saved version; left out: the one that runs", ge=1)] | None = None
    start: Annotated[str, Meta(description="Only events received from here on")] | None = msgspec.field(
        default=None, name="from"
    )
    end: Annotated[str, Meta(description="Only events received before")] | None = msgspec.field(default=None, name="to")
    first_seq: Annotated[int, Meta(description="Only events from this one on", ge=1)] | None = None
    last_seq: Annotated[int, Meta(description="Only events up to this one", ge=1)] | None = None
    swap: Annotated[bool, Meta(description="False: it waits, rebuilt, until told to swap")] = True
    resend: Annotated[bool, Meta(description="Hand the new rows to downstream readers too, as new events")] = False
    dry_run: Annotated[bool, Meta(description="Say what would happen and change nothing")] = False


class PlannedColumn(msgspec.Struct, frozen=True):
    """A column that the replay adds (``before`` null), leaves out (``after`` null) or retypes."""

    name: str
    before: str | None
    after: str | None


class ReplayPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay would do. ``expired``: earlier events that Bronze no longer has, whose rows are kept as they are.

    ``secs``: about how long it takes at rest; null where nothing could be tried.
    """

    version: int
    running_version: int
    first_seq: int
    last_seq: int
    events: int
    whole: bool
    expired: int
    columns: list[PlannedColumn]
    secs: float | None


class ReplayView(msgspec.Struct, frozen=True, kw_only=True):
    """``progress``: null where it is not under way. ``error``: what is in the way, or why it failed.

    ``identical``: whether a replay by the running version gave the very rows that were in use; null: not compared.
    """

    id: str
    pipeline_id: PipelineId
    version: int
    state: ReplayState
    created_by: str
    created_at: datetime
    first_seq: int | None
    last_seq: int | None
    swap: bool
    resend: bool
    started_at: datetime | None
    finished_at: datetime | None
    undo_until: datetime | None
    former_version: int | None
    identical: bool | None
    error: str | None
    progress: ReplayProgress | None


def replay_view(replay: Replay, progress: ReplayProgress | None) -> ReplayView:
    shown = {name: getattr(replay, name) for name in ReplayView.__struct_fields__ if name != "progress"}
    return ReplayView(**shown, progress=progress)


def planned_columns(before: Mapping, after: Mapping) -> list[PlannedColumn]:
    """Return the columns that a replay from one mapping to the other adds, leaves out or retypes."""
    return [
        PlannedColumn(one.name, one.before and one.before.value, one.after and one.after.value)
        for one in column_changes(before, after, {})
        if one.before is not one.after
    ]
