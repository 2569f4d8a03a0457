"""Upstream: one pipeline's rows as another's source sees them, and who is poked when they change."""

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from appliance.components.feed import FeedPlace
from appliance.components.resources import Upstream, UpstreamRows
from appliance.domain.ids import PipelineId
from appliance.domain.pipeline import Pipeline, State
from appliance.engine.refine import Commit
from appliance.engine.run import Run
from appliance.errors import ConfigError, Problem

if TYPE_CHECKING:
    from appliance.engine.engine import Engine

WORK: Final = "feed"  # threads of its own: copying rows on delays neither people's queries nor refining


class Upstreams:
    """Knows which pipelines of this process read which others. Belongs to the event loop."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._asked: defaultdict[PipelineId, set[str]] = defaultdict(set)  # reader → ids and names it has asked for

    def of(self, reader: Pipeline) -> "OthersRows":
        """Return what the source of ``reader`` reads others through."""
        return OthersRows(self._engine, reader, self._asked[reader.id])

    def started(self, pipeline: Pipeline) -> None:
        """Poke who waits for a pipeline of this id or name; what it reads itself it will ask for anew."""
        self._asked[pipeline.id].clear()
        self.poke(pipeline.id, pipeline.document.name)

    def committed(self, commit: Commit) -> None:
        """Poke who reads the pipeline that has committed; a follower of the engine's."""
        self.poke(commit.pipeline_id)

    def poke(self, *called: str) -> None:
        """Poke who reads one of the pipelines called so."""
        for reader_id, asked in self._asked.items():
            if not asked.isdisjoint(called) and self._engine.runs_here(reader_id):
                poller = self._engine.run_of(reader_id).poller
                if poller is not None:
                    poller.poke()


class OthersRows:
    """``Upstream`` for one reader: what its organisation has running in this process."""

    def __init__(self, engine: "Engine", reader: Pipeline, asked: set[str]) -> None:
        self._engine, self._organisation_id, self._asked = engine, reader.organisation_id, asked

    def find(self, named: str) -> PipelineId:
        """See ``Upstream.find``."""
        self._asked.add(named)
        ours = [run.pipeline for run in self._engine.runs() if run.pipeline.organisation_id == self._organisation_id]
        found = {one.document.name: one.id for one in ours} | {one.id: one.id for one in ours}
        if named in found:
            self._asked.add(found[named])
            return found[named]
        raise _trouble(f"no pipeline {named!r} runs here", "see whether it was deleted, or why it was not started")

    async def end(self, pipeline_id: PipelineId) -> FeedPlace:
        """See ``Upstream.end``."""
        run, workers = self._run(pipeline_id), self._engine.workers
        silver = await workers.run(WORK, self._engine.silver, self._organisation_id)
        return await workers.run(WORK, silver.feed.end, run.refiner.course.table)

    async def read(self, pipeline_id: PipelineId, after: FeedPlace, limit: int) -> UpstreamRows:
        """See ``Upstream.read``."""
        table, workers = self._run(pipeline_id).refiner.course.table, self._engine.workers
        silver = await workers.run(WORK, self._engine.silver, self._organisation_id)
        rows, place = await workers.run(WORK, silver.feed.read, table, after, limit)
        return UpstreamRows(table, rows, place)

    def trouble(self, pipeline_id: PipelineId) -> str | None:
        """See ``Upstream.trouble``."""
        if not self._engine.runs_here(pipeline_id):
            return f"pipeline {pipeline_id!r} runs no longer: resume it, or read another one"
        run = self._run(pipeline_id)
        named = f"pipeline {run.pipeline.document.name!r}"
        if run.state is State.FAILED:
            return f"{named} has failed, so that no new rows come: see its page for the reason"
        if run.state is State.PAUSED:
            return f"{named} is paused, so that no new rows come: resume it"
        if not run.pipeline.document.persist:
            return f"{named} stores no rows that could be read: its persist is false"
        return None

    def _run(self, pipeline_id: PipelineId) -> Run:
        if not self._engine.runs_here(pipeline_id):
            raise _trouble(f"pipeline {pipeline_id!r} runs no longer", "resume it, or read another one")
        return self._engine.run_of(pipeline_id)


def _trouble(told: str, remedy: str) -> ConfigError:
    return ConfigError([Problem("/source", told, remedy)])


_: type[Upstream] = OthersRows
