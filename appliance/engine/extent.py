"""Extent: which events a replay is about, at whichever nodes they are, and how far the rows in use are."""

from collections.abc import Iterable, Mapping
from typing import Final

from appliance.components.bronze import BronzeLog, Quarantine
from appliance.components.partitions import Partitioned, logs_of, partitions_of
from appliance.components.silver import Progress, SilverStore
from appliance.domain.ids import PipelineId
from appliance.domain.partition import base_of, local_of, partition, partition_of
from appliance.domain.replay import Part, Replay
from appliance.engine.engine import Engine
from appliance.engine.read_ahead import Lost
from appliance.engine.rebuilding import Ends, Rebuilding
from appliance.errors import Conflict

_NAMED: Final = 3


class Extent:
    """Of one replay; belongs to the event loop, asks in threads. May raise TransientError: it names the silent node."""

    def __init__(self, engine: Engine, replay: Replay) -> None:
        self._engine, self._replay = engine, replay

    @property
    def ends(self) -> Ends:
        """Return the last event of each partition, as far as that is known here; costs no I/O.

        Of this node's it is exact, of others' about a second old; of a range it is fixed. Of what nodes take turns to
        poll it is the last that is stored: what comes behind it may still be withdrawn.
        """
        replay, engine = self._replay, self._engine
        if not replay.whole:
            return {partition_of(part.first_seq): part.last_seq or part.first_seq for part in replay.range}
        shares, settled = engine.elsewhere.get(replay.pipeline_id, {}), engine.takes_turns(replay.pipeline_id)
        others = {
            number: share.refined.seq if settled else max(share.last_seq, share.refined.seq)
            for number, share in shares.items()
        }
        return {
            **others,
            partition_of(engine.bronze.last_seq(replay.pipeline_id)): engine.settled_seq(replay.pipeline_id),
        }

    def first_of(self, number: int) -> int:
        """Return the first event of a partition that is refined again."""
        firsts = (part.first_seq for part in self._replay.parts)
        return next((one for one in firsts if partition_of(one) == number), base_of(partition(number)) + 1)

    async def readable(self, rebuilding: Rebuilding) -> Ends:
        """Return ``ends`` without those of nodes that were forgotten: of their events Silver has all there is.

        Raises:
            Lost: one was forgotten before its events were rebuilt; they are taken over from the rows in use instead.
        """
        if not self._replay.whole:
            return self.ends
        engine, pipeline_id = self._engine, self._replay.pipeline_id
        shares = engine.elsewhere.get(pipeline_id, {})
        numbers = await engine.workers.run("rebuild", kept, engine.bronze, pipeline_id, shares)
        for number, share in shares.items():
            if number not in numbers and rebuilding.at(number) < share.refined.seq:
                raise Lost(f"the node with partition {number} was forgotten")
        return {number: last for number, last in self.ends.items() if number in numbers}

    async def parts(self, silver: SilverStore) -> tuple[Part, ...]:
        """Return what is refined again, of each partition: as far back as Bronze reaches.

        Of a node that was forgotten, whose events nobody has any more: nothing, from the last that was refined on.

        Raises:
            Conflict: a range has expired.
        """
        replay = self._replay
        live = await self._live(silver)
        firsts = await self._engine.workers.run("rebuild", self._oldest, live)
        if replay.whole:
            gone = {number: one.seq + 1 for number, one in live.items() if number not in firsts and local_of(one.seq)}
            return tuple(Part(first) for _, first in sorted({**firsts, **gone}.items()))
        wanted = [(part, max(part.first_seq, firsts.get(partition_of(part.first_seq), 1))) for part in replay.range]
        parts = tuple(Part(first, part.last_seq) for part, first in wanted if first <= (part.last_seq or first))
        if not parts:
            raise Conflict(f"events {replay.first_seq} to {replay.last_seq} have expired from Bronze")
        return parts

    async def behind(self, silver: SilverStore, parts: Iterable[Part]) -> str | None:
        """Return why the rows in use are not refined far enough for ``parts``, in words; None: they are.

        Of a whole replay what Bronze no longer has is taken over from them; of a range all that is exchanged.
        """
        live = await self._live(silver)
        for part in parts:
            needed = part.first_seq - 1 if part.last_seq is None else part.last_seq
            number = partition_of(needed)
            at = live[number].seq if number in live else base_of(number)
            if at < needed:
                return f"waiting until the rows in use are refined up to event {needed}: they are at {at}"
        return None

    async def unreadable(self) -> str | None:
        """Return where Bronze is damaged among these events, in words; None: nowhere."""
        ends = self.ends
        within = [
            one
            for one in await self._engine.workers.run("rebuild", self._quarantined)
            if one.first_seq <= ends.get(number := partition_of(one.first_seq), 0)
            and one.last_seq >= self.first_of(number)
        ]
        places = ", ".join(f"events {one.first_seq} to {one.last_seq} in {one.segment}" for one in within[:_NAMED])
        return places or None

    def _oldest(self, refined: Iterable[int]) -> dict[int, int]:
        """Return the first event that each log has, or would have; blocking."""
        pipeline_id = self._replay.pipeline_id
        firsts = [log.upkeep.first_seq(pipeline_id) for log in logs_of(self._engine.bronze, pipeline_id, refined)]
        return {partition_of(first - 1): first for first in firsts}

    def _quarantined(self) -> list[Quarantine]:
        pipeline_id = self._replay.pipeline_id
        logs = logs_of(self._engine.bronze, pipeline_id)
        return [one for log in logs for one in log.upkeep.quarantined(pipeline_id)]

    async def _live(self, silver: SilverStore) -> Mapping[int, Progress]:
        pipeline_id = self._replay.pipeline_id
        return (await self._engine.workers.run("rebuild", silver.partitions, [pipeline_id]))[pipeline_id]


def kept(bronze: BronzeLog, pipeline_id: PipelineId, refined: Iterable[int]) -> set[int]:
    """Return the partitions whose events are at a node, be it down; ``refined``: see ``logs_of``; blocking."""
    if isinstance(bronze, Partitioned):
        return set(partitions_of(bronze, pipeline_id, refined))
    return {partition_of(bronze.last_seq(pipeline_id))}
