"""Amend: events refined again in place, after a better mapping or a correction. What retrying dead letters does."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec
import pyarrow as pa

from appliance.components.bronze import BronzeLog
from appliance.components.letters import Amendment
from appliance.components.mapper import Mapped, Mapper
from appliance.components.silver import Progress, SilverStore
from appliance.domain.event import Frame
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.ledger import Outcome
from appliance.engine.batches import Course
from appliance.engine.engine import Engine
from appliance.engine.refine import Commit
from appliance.errors import Conflict

MOST_BYTES: Final = 24 << 20  # read at once

Replaced = Mapping[int, bytes | None]  # event → the payload refined instead of its own; None: nothing, it is dropped


class Redone(msgspec.Struct, frozen=True):
    """What became of events that were refined again, or would become of them.

    ``rows`` and ``dead`` as in ``Batch``; ``missing``: events that Bronze no longer has, which stay as they are.
    """

    outcome: Outcome
    rows: pa.Table
    dead: pa.Table
    missing: tuple[int, ...]
    progress: Progress | None = None  # None: tried only


class Amender:
    """Refines chosen events of a running pipeline again, by the mapping it runs with."""

    def __init__(self, engine: Engine, mapper: Mapper) -> None:
        self._engine, self._mapper = engine, mapper

    async def attempt(self, pipeline_id: PipelineId, seqs: Sequence[int], replaced: Replaced) -> Redone:
        """Return what ``redo`` would make of them; nothing is stored. ``seqs``: ascending, not empty.

        Raises:
            NotFound: the pipeline does not run here.
        """
        course = self._engine.run_of(pipeline_id).refiner.course
        return await self._engine.workers.run("read", self._refine, course, seqs, replaced)

    async def redo(self, organisation_id: OrganisationId, pipeline_id: PipelineId, seqs: Sequence[int]) -> Redone:
        """Refine events again as Bronze answers them now, corrections included, and store the result in their place.

        Raises:
            NotFound: the pipeline does not run here.
            Conflict: one of them is not refined yet.
        """
        run = self._engine.run_of(pipeline_id)
        silver = await self._engine.workers.run("control", self._engine.silver, organisation_id)
        done = await self._engine.workers.run("control", self._store, silver, run.refiner.course, seqs)
        if done.progress is not None:
            run.refiner.amended(done.progress)
            told = Commit(pipeline_id, run.refiner.progress, done.rows.slice(0, 0), 0, 0.0)
            for follow in self._engine.followers:
                follow(told)
        return done

    def _store(self, silver: SilverStore, course: Course, seqs: Sequence[int]) -> Redone:
        done = self._refine(course, seqs, {})
        gone = set(done.missing)
        found = [seq for seq in seqs if seq not in gone]
        if not found:
            return done
        progress = silver.letters.amend(Amendment(course.table, course.version, found, done.rows, done.dead))
        return msgspec.structs.replace(done, progress=progress)

    def _refine(self, course: Course, seqs: Sequence[int], replaced: Replaced) -> Redone:
        frames = list(_gathered(self._engine.bronze, course.pipeline_id, seqs, replaced))
        found = {seq for frame in frames for seq in range(frame.first_seq, frame.last_seq + 1)}
        missing = tuple(seq for seq in seqs if seq not in found)
        parts = list(_mapped(self._mapper, course, frames))
        rows, dead = _tables(course, self._mapper, parts)
        outcome = sum((part.outcome for part in parts), Outcome())
        if not course.persist:
            rows = rows.slice(0, 0)
            outcome = msgspec.structs.replace(outcome, stored=0, filtered=outcome.filtered + outcome.stored)
        return Redone(outcome, rows, dead, missing)


def _mapped(mapper: Mapper, course: Course, frames: list[Frame]) -> Iterator[Mapped]:
    """Map all of ``frames``: the mapper may stop early where events give very many rows.

    Raises:
        Conflict: one of the events differs from a frozen mapping.
    """
    while frames:
        mapped = mapper.run(course.compiled, frames, course.version)
        if mapped.stopped is not None:
            raise Conflict(f"{mapped.stopped}: change the mapping or fix the event, or leave it out")
        yield mapped
        frames = [_after(frame, mapped.last_seq) for frame in frames if frame.last_seq > mapped.last_seq]


def _after(frame: Frame, seq: int) -> Frame:
    skip = max(0, seq + 1 - frame.first_seq)
    if not skip:
        return frame
    lines = frame.lines.split(b"\n", skip)[skip] if frame.lines else b""
    kept = tuple(one for one in frame.withdrawn if one > seq)
    return Frame(seq + 1, frame.count - skip, frame.received_us, lines, kept, frame.damaged)


def _tables(course: Course, mapper: Mapper, parts: list[Mapped]) -> tuple[pa.Table, pa.Table]:
    if not parts:
        parts = [mapper.run(course.compiled, [Frame(1, 1, 0, b"null", withdrawn=(1,))], course.version)]
    return pa.concat_tables([part.rows for part in parts]), pa.concat_tables([part.dead for part in parts])


def _gathered(bronze: BronzeLog, pipeline_id: PipelineId, seqs: Sequence[int], replaced: Replaced) -> Iterator[Frame]:
    """Yield the frames of exactly these events, in order."""
    for first, last in runs_of(seqs):
        after = first - 1
        while after < last:
            frames = bronze.read(pipeline_id, after, last - after, MOST_BYTES)
            if not frames or frames[0].first_seq > last:
                break
            for frame in frames:
                if frame.last_seq <= last:
                    yield from _replaced(frame, replaced)
            after = frames[-1].last_seq


def _replaced(frame: Frame, replaced: Replaced) -> Iterator[Frame]:
    """Yield ``frame``, event by event where one of them is refined as something else."""
    if not any(frame.first_seq <= seq <= frame.last_seq for seq in replaced):
        yield frame
        return
    lines = frame.lines.split(b"\n") if frame.lines else [b"null"] * frame.count
    for seq, line in enumerate(lines, frame.first_seq):
        if seq not in replaced:
            kept = tuple(one for one in frame.withdrawn if one == seq)
            yield Frame(seq, 1, frame.received_us, line, kept, frame.damaged)
            continue
        payload = replaced[seq]
        withdrawn = (seq,) if payload is None else ()
        yield Frame(seq, 1, frame.received_us, b"null" if payload is None else payload, withdrawn)


def runs_of(seqs: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of each run of consecutive numbers in ``seqs`` (ascending)."""
    first = last = None
    for seq in seqs:
        if last is not None and seq == last + 1:
            last = seq
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = seq
    if first is not None and last is not None:
        yield first, last
