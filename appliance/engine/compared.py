"""Rebuilt rows compared with those in use: the very same, or not; exchanged already, or not."""

from typing import Final

import structlog
from msgspec.structs import replace

from appliance.components.replays import ReplayBook
from appliance.components.silver import SilverStore, Table
from appliance.domain.partition import first_of, partition_of
from appliance.domain.pipeline import Pipeline
from appliance.domain.replay import Replay
from appliance.engine.engine import Engine
from appliance.errors import Conflict

MOST_KEYED: Final = 2_000_000  # rows: comparing keyed ones holds refining back for as long as it takes
_LONGEST: Final = 10_000  # characters of a fingerprint

log = structlog.get_logger("replay")


class Compared:
    """Asks the row store for checksums; belongs to the event loop."""

    def __init__(self, engine: Engine, book: ReplayBook) -> None:
        self._engine, self._book = engine, book

    async def identical(self, replay: Replay, before: Pipeline, *, held: bool) -> bool | None:
        """Return whether the rebuilt rows are the very ones in use, where the same version made them; else None.

        Rows without keys below a given event never change: they are compared while refining goes on. Keyed ones are
        compared while it is ``held``, unless they are very many. Rows that retention has removed are left out.
        """
        if not replay.whole or replay.version != before.version or not before.document.persist:
            return None
        table = self._engine.course_of(before).table
        silver = await self._engine.workers.run("control", self._engine.silver, replay.organisation_id)
        generations = silver.generations
        found = await self._engine.workers.run("rebuild", generations.all, replay.pipeline_id)
        live = next(one for one in found if one.live)
        shadow = next(one for one in found if one.number == number_of(replay))
        numbers = sorted({*live.partitions, partition_of(live.progress.seq)})
        if table.keyed and len(numbers) > 1:  # which row of a key is the last is as exact as the order of nodes' clocks
            return None
        if table.keyed != held or (held and live.progress.outcome.stored > MOST_KEYED):
            return None
        spans = await self._engine.workers.run("rebuild", generations.spans, replay.pipeline_id)
        other = [span.last_seq for span in spans if span.gone or span.version != replay.version]
        pair = [replace(table, generation=one) for one in (live.number, shadow.number)]
        verdicts = []
        for number in numbers:
            last = min(live.of(number).seq, shadow.of(number).seq)
            first = max([first_of(last), *(seq + 1 for seq in other if partition_of(seq) == number)])
            if first > last:
                continue
            sums = [await self._engine.workers.run("rebuild", generations.checksum, one, first, last) for one in pair]
            verdicts.append(sums[0] == sums[1])
            if sums[0] != sums[1]:
                log.warning("replay.differs", replay=replay.id, pipeline=replay.pipeline_id, first=first, last=last)
        return all(verdicts) if verdicts else None

    async def fingerprint(self, silver: SilverStore, replay: Replay) -> str:
        """Return what rows and outcomes of a range look like in the shadow: after an exchange it is another."""
        table = replace(await self.table(replay), generation=number_of(replay))
        run, generations = self._engine.workers.run, silver.generations
        spans = await run("rebuild", generations.spans, replay.pipeline_id, number_of(replay))
        told = []
        for part in replay.range:
            first, last = part.first_seq, part.last_seq or part.first_seq
            rows = await run("rebuild", generations.checksum, table, first, last)
            inside = [span for span in spans if span.last_seq >= first and span.first_seq <= last]
            told.append(f"{rows} {inside}")
        return " ".join(told)[:_LONGEST]

    async def table(self, replay: Replay) -> Table:
        """Return the live table with the columns of the version in use and of the replay's."""
        own = self._engine.course_of(await self._book.pipeline(replay.pipeline_id)).table
        new = self._engine.course_of(await self._book.pipeline(replay.pipeline_id, replay.version)).table
        names = {column.name.lower() for column in own.columns}
        added = tuple(column for column in new.columns if column.name.lower() not in names)
        return replace(own, columns=own.columns + added)


def number_of(replay: Replay) -> int:
    """Return the replay's generation. Raises Conflict: it has none yet."""
    if replay.generation is None:
        raise Conflict(f"replay {replay.id!r} has no rows yet: wait until it rebuilds")
    return replay.generation
