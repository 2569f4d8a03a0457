"""Whether the parts work: what ``/readyz`` answers, each with a reason in one sentence."""

from collections.abc import Callable, Iterable

from appliance.domain.ids import PipelineId
from appliance.domain.pipeline import State
from appliance.engine.disk_guard import DiskGuard
from appliance.engine.engine import Engine
from appliance.engine.letter_watch import LetterWatch
from appliance.observe.metrics import PipelineNumbers

Check = tuple[bool, str]
Ailing = Callable[[], dict[PipelineId, str]]  # pipelines whose Bronze cannot be written, and why


class Vitals:
    """Looks at the running parts; cheap, and never waits for any of them."""

    def __init__(
        self,
        engine: Engine,
        disk: DiskGuard,
        ailing: Callable[[], dict[PipelineId, str]],
        incidents: Callable[[], list[str]],
    ) -> None:
        self._engine, self._guard = engine, disk
        self._ailing, self._incidents = ailing, incidents

    def checks(self) -> dict[str, Check]:
        """Return for each part whether it is ready, and the reason."""
        return {
            "receiving": self._receiving(),
            "refining": self._refining(),
            "storage": self._storage(),
            "disk": self._disk(),
        }

    def _receiving(self) -> Check:
        if self._engine.receiver.draining:
            return False, "draining: the appliance is shutting down"
        ailing = self._ailing() | self._engine.receiver.out_of_order()
        told = "; ".join(f"{pipeline_id}: {reason}" for pipeline_id, reason in ailing.items())
        return not ailing, told or "events are taken and made durable"

    def _refining(self) -> Check:
        told = [
            f"{run.pipeline.document.name}: {run.refiner.error}" for run in self._engine.runs() if run.refiner.error
        ]
        return not told, "; ".join(told) or "every pipeline refines what it receives"

    def _storage(self) -> Check:
        incidents = self._incidents()
        return True, "; ".join(incidents) or "Silver opened whole"

    def _disk(self) -> Check:
        return not self._guard.stopped and self._guard.trouble is None, self._guard.told()


class EngineNumbers:
    """What the metrics read from the engine when somebody scrapes."""

    def __init__(self, engine: Engine, letters: LetterWatch) -> None:
        self._engine, self._letters = engine, letters

    def knows(self, pipeline_id: str) -> bool:
        return self._engine.runs_here(PipelineId(pipeline_id))

    def numbers(self) -> Iterable[PipelineNumbers]:
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
