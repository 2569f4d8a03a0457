"""Whether the parts work: what ``/readyz`` answers, each with a reason in one sentence."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from appliance.components.archive import ArchiveState
from appliance.components.bronze import Quarantine
from appliance.domain.database.replicas import ReadState
from appliance.domain.ids import PipelineId
from appliance.domain.pipeline import State
from appliance.engine.database_watch import DatabaseWatch
from appliance.engine.disk_guard import DiskGuard
from appliance.engine.engine import Engine
from appliance.engine.letter_watch import LetterWatch
from appliance.observe.metrics import PipelineNumbers

Check = tuple[bool, str]
TOLD: Final = 3  # of places, and of incidents the newest: a disk that goes on failing has thousands


@dataclass(frozen=True, slots=True)
class Stores:
    """What the stores say of themselves: pipelines whose log cannot be written and why, places of logs that cannot be
    read, what happened to files of rows since the start, oldest first, how archiving goes (None: nothing is), and who
    answers those who look at rows (None: no replicas)."""

    ailing: Callable[[], dict[PipelineId, str]]
    damaged: Callable[[], dict[PipelineId, list[Quarantine]]]
    incidents: Callable[[], list[str]]
    archive: Callable[[], ArchiveState] | None = None
    reading: Callable[[], ReadState | None] = lambda: None


class Vitals:
    """Looks at the running parts; cheap, and never waits for any of them."""

    def __init__(
        self,
        engine: Engine,
        disk: DiskGuard,
        stores: Stores,
        database: DatabaseWatch | None = None,
        node: Callable[[], Check] | None = None,
    ) -> None:
        """``database``: None where there is none but the files of this appliance. ``node``: whether it takes work."""
        self._engine, self._guard, self._stores, self._database = engine, disk, stores, database
        self._node = node
        self.maintenance: Callable[[], str | None] = lambda: None
        self.away: Callable[[], str | None] = lambda: None  # which ingestors are, for a node that only looks

    def checks(self) -> dict[str, Check]:
        """Return for each part whether it is ready, and the reason. A node that only looks has not all of them."""
        events = {} if self._engine.looks else {"receiving": self._receiving(), "refining": self._refining()}
        return {**events, "storage": self._storage(), "disk": self._disk(), **self._beside()}

    def _beside(self) -> dict[str, Check]:
        """What only some appliances have."""
        found: dict[str, Check] = {}
        if self._stores.archive is not None:
            found["archive"] = self._archive(self._stores.archive())
        if self._node is not None:
            found["node"] = self._node()
        if (told := self.away()) is not None:
            found["ingestors"] = (True, told)  # pages are shown all the same, and rows that are stored
        if (told := self.maintenance()) is not None:
            found["maintenance"] = (True, told)  # no reason to send nothing here: receiving and reading go on
        if self._database is not None:
            found["database"] = self._answering(self._database)
        return found

    def _answering(self, database: DatabaseWatch) -> Check:
        """A replica that is not read from is no reason to send nothing here: the primary answers in its place."""
        ready, told = database.told()
        state = self._stores.reading()
        if state is None:
            return ready, told
        left = [f"replica {one.number} is not read from: {one.trouble}" for one in state.replicas if one.trouble]
        followed = (
            f"{len(state.replicas)} replicas are read from" if len(state.replicas) > 1 else "replica 1 is read from"
        )
        return ready, "; ".join([told, *(left or [followed])])

    def _receiving(self) -> Check:
        if self._engine.receiver.draining:
            return False, "draining: the appliance is shutting down"
        takes, told = self._node() if self._node is not None else (True, "")
        if not takes:
            return False, f"{told}; what comes in even so is taken"
        if self._guard.stopped:
            return False, f"nothing is received: {self._guard.told()}"
        ailing = self._stores.ailing() | self._engine.receiver.out_of_order()
        told = "; ".join(f"{pipeline_id}: {reason}" for pipeline_id, reason in ailing.items())
        return not ailing, told or "events are taken and made durable"

    def _refining(self) -> Check:
        """A pipeline that its own contract stopped is no trouble of the appliance's, and its reason quotes an event:
        anybody may ask here, so what it says stays on the pipeline's page."""
        ailing = [run for run in self._engine.runs() if run.refiner.error]
        broken = [run for run in ailing if run.refiner.frozen_at is None]
        told = [f"{run.pipeline.id}: {run.refiner.error}" for run in broken]
        told += [
            f"{run.pipeline.id} stands still at event {run.refiner.frozen_at} by its contract: its page says why"
            for run in ailing
            if run.refiner.frozen_at is not None
        ]
        return not broken, "; ".join(told) or "every pipeline refines what it receives"

    def _storage(self) -> Check:
        """Damage is no reason to send nothing here: what can be read is answered, and new events are taken."""
        told = [*self._places(), *self._stores.incidents()[-TOLD:]]
        return True, "; ".join(told) or "every log reads, and Silver opened whole"

    def _archive(self, state: ArchiveState) -> Check:
        """An archive that cannot be reached is no reason to send nothing here: what is received stays on this disk."""
        if not state.pending_events:
            return True, state.told
        since = f"{state.pending_since:%Y-%m-%d %H:%M} UTC" if state.pending_since else "a moment ago"
        return True, f"{state.told}; not yet archived: {state.pending_events} events, the oldest received {since}"

    def _places(self) -> Iterator[str]:
        """Yield a sentence for each of the first places that cannot be read, and one for the others."""
        found = [(pipeline_id, place) for pipeline_id, places in self._stores.damaged().items() for place in places]
        for pipeline_id, place in found[:TOLD]:
            events = f"events {place.first_seq} to {place.last_seq} of {pipeline_id}"
            yield f"{events} cannot be read ({place.segment}: {place.reason}): put a copy of that file back"
        if len(found) > TOLD:
            yield f"and {len(found) - TOLD} more places: 'dash-appliance verify' names them all"

    def _disk(self) -> Check:
        return not self._guard.stopped and self._guard.trouble is None, self._guard.told()


class EngineNumbers:
    """What the metrics read from the engine when somebody scrapes."""

    def __init__(self, engine: Engine, letters: LetterWatch) -> None:
        self._engine, self._letters = engine, letters

    def knows(self, pipeline_id: str) -> bool:
        return self._engine.runs_here(PipelineId(pipeline_id))

    def numbers(self) -> Iterable[PipelineNumbers]:
        if self._engine.looks:
            return  # each ingestor says its own, and nobody shall add them up twice
        for run in self._engine.runs():
            stats = run.stats()
            yield PipelineNumbers(
                run.pipeline.id,
                run.pipeline.state is State.RUNNING,
                stats.lag_events,
                stats.lag_secs,
                stats.ledger,
                self._letters.count(run.pipeline.id).oldest,
            )
