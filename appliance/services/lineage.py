"""Lineage: from a row to the bytes it was made of, through every pipeline, and who has read it since."""

from typing import Any, Final

import msgspec
from msgspec.structs import asdict
from sqlalchemy.orm import Session

from appliance.components.feed import Reading, readings_of
from appliance.components.partitions import logs_of
from appliance.components.silver import SilverStore, Table
from appliance.domain.access import Action, Principal, require
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import Mapping
from appliance.domain.partition import partition_of
from appliance.errors import NotFound
from appliance.services.lineage_facts import Facts, Place, look_up, mapped_outcome
from appliance.services.lineage_views import CorrectedBy, Fate, Hop, Lineage, ReaderView, ReceivedEvent, RefinedBy
from appliance.services.ownership import Ownership
from appliance.services.ports import Engine
from appliance.services.readers import Node, nodes, readers
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import PipelineVersionRow

MOST_HOPS: Final = 50  # what pipelines read is no circle, but what they have read in their lives may be


class Lineages:
    """Asks Bronze and Silver in the threads for reading, hop after hop."""

    def __init__(self, plane: ControlPlane, ownership: Ownership, engine: Engine) -> None:
        self._plane, self._ownership, self._engine = plane, ownership, engine

    async def of(self, who: Principal, pipeline_id: PipelineId, seq: int, item: int | None = None) -> Lineage:
        """Return the whole way of an event, or of one of its items.

        Raises:
            NotFound: no such pipeline, or it has not received such an event. One that is held no longer is answered.
        """
        require(who, Action.DATA_READ)
        await self._ownership.check(who, pipeline_id)
        known = await self._plane.read(lambda tx: nodes(tx, who.organisation_id))
        names = {node.id: node.name for node in known}
        silver = await self._engine.workers.run("read", self._engine.silver, who.organisation_id)
        hops = await self._walk(silver, names, Place(pipeline_id, seq, item))
        own = asdict(hops[0])
        return Lineage(**own, upstream=hops[1:], downstream=await self._downstream(known, pipeline_id, seq))

    async def _walk(self, silver: SilverStore, names: dict[PipelineId, str], start: Place) -> list[Hop]:
        """Return the event and those it came from, nearest first."""
        hops: list[Hop] = []
        place: Place | None = start
        while place is not None and len(hops) < MOST_HOPS:
            if place.pipeline_id not in names:
                told = f"pipeline {place.pipeline_id!r} was deleted, with everything it had received"
                return [*hops, _hop(place, None, fate=Fate.GONE, told=told)]
            facts = await self._engine.workers.run(
                "read", look_up, self._engine.bronze, silver, self._table(place.pipeline_id), place
            )
            hops.append(await self._told(facts, names[place.pipeline_id]))
            origin = facts.origin
            place = Place(origin.pipeline, origin.seq, origin.item) if origin else None
        return hops

    def _table(self, pipeline_id: PipelineId) -> Table | None:
        try:
            return self._engine.table(pipeline_id)
        except NotFound:
            return None

    async def _told(self, facts: Facts, name: str) -> Hop:
        place, span, correction = facts.place, facts.span, facts.correction
        version = None
        if span is not None:
            version = await self._plane.read(lambda tx: _version(tx, place.pipeline_id, span.version))
        return _hop(
            place, name, fate=facts.fate, told=facts.told, event=_received(facts), rows=facts.rows,
            more_rows=facts.more_rows, dead_letters=facts.letters, outcome=await self._outcome(facts, version),
            correction=correction and CorrectedBy(
                payload=correction.payload and msgspec.Raw(correction.payload), reason=correction.reason,
                by=correction.by, at=correction.at,
            ),
            refined=span and RefinedBy(
                version=span.version, day=span.day, author=version.author if version else None,
                saved_at=version.created_at if version else None,
            ),
        )  # fmt: skip

    async def _outcome(self, facts: Facts, version: PipelineVersionRow | None) -> str | None:
        """Return the event's place in the ledger; where Silver alone cannot tell, its version maps it once more."""
        if len(facts.outcomes) == 1:
            return facts.outcomes[0]
        if not facts.frames or version is None:
            return None
        mapping = msgspec.convert(version.definition.get("mapping", {}), Mapping)
        mapped = await self._engine.preview(mapping, list(facts.frames))
        return mapped_outcome(facts, mapped.rows.num_rows, mapped.dead.num_rows)

    async def _downstream(self, known: list[Node], pipeline_id: PipelineId, seq: int) -> list[ReaderView]:
        reading = readers(known, pipeline_id)

        def look() -> list[ReaderView]:
            bronze = self._engine.bronze
            checkpoints = [readings_of(logs_of(bronze, node.id), node.id) for node in reading]
            return [
                _reader_view(node, checkpoint.get(pipeline_id, Reading()), seq)
                for node, checkpoint in zip(reading, checkpoints, strict=True)
            ]

        return await self._engine.workers.run("read", look) if reading else []


def _hop(place: Place, name: str | None, **known: Any) -> Hop:
    return Hop(pipeline=place.pipeline_id, name=name, seq=place.seq, item=place.item, **known)


def _received(facts: Facts) -> ReceivedEvent | None:
    if facts.event is None:
        return None
    envelope = facts.event.envelope
    return ReceivedEvent(
        segment=facts.event.segment,
        line=facts.event.line,
        received_at=envelope.received_at,
        source=envelope.source,
        delivery_id=envelope.delivery_id,
        remote=envelope.remote,
        headers=envelope.headers,
        payload=msgspec.Raw(facts.event.payload),
    )


def _version(tx: Session, pipeline_id: PipelineId, number: int) -> PipelineVersionRow | None:
    return tx.get(PipelineVersionRow, (pipeline_id, number))


def _reader_view(node: Node, reading: Reading, seq: int) -> ReaderView:
    up_to = reading.place.up_to(partition_of(seq))
    return ReaderView(pipeline=node.id, name=node.name, read=reading.has(seq), up_to=up_to)
