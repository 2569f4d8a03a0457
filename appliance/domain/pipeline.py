"""A pipeline: one JSON document, the same in the API, in files and on screen, and the states it goes through."""

from enum import Enum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.mapping import Mapping
from appliance.domain.rollup import Rollup


class State(Enum):
    """Whether a pipeline takes events, and whether it refines them."""

    RUNNING = "running"
    PAUSED = "paused"  # its source is not asked and its ingest refuses; what Bronze holds is refined
    FAILED = "failed"  # refining stopped by a FatalError; receiving goes on
    DELETED = "deleted"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.RUNNING: frozenset({State.PAUSED, State.FAILED, State.DELETED}),
    State.PAUSED: frozenset({State.RUNNING, State.DELETED}),
    State.FAILED: frozenset({State.RUNNING, State.PAUSED, State.DELETED}),
    State.DELETED: frozenset(),
}


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How long data is kept; durations (``365d``) and sizes (``20 GiB``) with a unit, or ``forever``.

    What is left out is as the organisation says; where that says nothing, for ever and without bound.
    """

    bronze: Annotated[str, Meta(description="Age at which raw events go, by receipt", examples=["365d"])] | None = None
    silver: Annotated[str, Meta(description="Age at which rows go, by their own time", examples=["90d"])] | None = None
    bronze_size: Annotated[str, Meta(description="Beyond it the oldest raw events go")] | None = None


class Chunks(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How rows are cut by time and laid in columns, where the database has TimescaleDB; elsewhere it does nothing.

    What is left out is as the settings of the installation say (``silver.*``).
    """

    interval: Annotated[str, Meta(description="How much time a new chunk is for", examples=["6h"])] | None = None
    compress_after: (
        Annotated[
            str,
            Meta(description="How long after its end a chunk goes into columns, or `never`", examples=["3d"]),
        ]
        | None
    ) = None
    order_by: (
        Annotated[
            str,
            Meta(
                description="Field by which rows are put together in columns: what tells devices apart. Left out: "
                "guessed from the rows",
                examples=["device"],
            ),
        ]
        | None
    ) = None
    views: (
        Annotated[
            bool,
            Meta(description="Whether rollups are kept as continuous aggregates too, for other tools"),
        ]
        | None
    ) = None


class RateLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    events_per_sec: Annotated[float, Meta(gt=0, description="Sustained; a burst of one second's worth is allowed")]


class PipelineDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a user writes. ``source`` and ``sinks`` are decoded by the component that their ``type`` names (catalog)."""

    name: Annotated[str, Meta(min_length=1, max_length=100, examples=["boiler-room"])]
    source: dict[str, Any]
    mapping: Mapping = Mapping()
    description: str | None = None
    persist: Annotated[bool, Meta(description="False: rows are shown live but not stored in Silver")] = True
    sinks: list[dict[str, Any]] = []
    retention: Retention = Retention()
    rate_limit: RateLimit | None = None
    rollups: list[Rollup] = []
    chunks: Chunks = Chunks()


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline as the engine runs it: the document of one version, with its secrets in clear.

    ``secrets``: signing secrets that the appliance keeps for it beside the document, newest first.
    ``era``: of the rows that this version is refined into; replays that put others in use raise it.
    """

    id: PipelineId
    organisation_id: OrganisationId
    version: int
    state: State
    document: PipelineDocument
    secrets: tuple[str, ...] = ()
    era: int = 0
