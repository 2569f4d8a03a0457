"""Versions of pipelines: every document that was ever saved, what differs, candidates, and the way back."""

from typing import Any

import msgspec
from sqlalchemy.orm import Session

from appliance.domain.access import Action, Principal, require
from appliance.domain.differences import changes, in_words
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.pipeline import Pipeline, PipelineDocument, State
from appliance.errors import Invalid
from appliance.services.definitions import Definitions
from appliance.services.pipeline_changes import PipelineChanges
from appliance.services.pipeline_views import version_view
from appliance.services.pipelines import Pipelines
from appliance.services.ports import Engine
from appliance.services.views import VersionDiff, VersionView
from appliance.storage.control import pipelines as store
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import PipelineVersionRow


class Versions:
    """A saved version never changes; a candidate waits for a replay, or for ``restore``, to make it the running one."""

    def __init__(
        self,
        plane: ControlPlane,
        definitions: Definitions,
        pipelines: Pipelines,
        changes: PipelineChanges,
        engine: Engine,
    ) -> None:
        self._plane, self._definitions, self._engine = plane, definitions, engine
        self._pipelines, self._changes = pipelines, changes

    async def get(self, who: Principal, pipeline_id: PipelineId, number: int) -> VersionView:
        """Return one version. Raises NotFound."""
        require(who, Action.PIPELINE_READ)
        running, row = await self._one(who, pipeline_id, number)
        return version_view(row, running, self._definitions)

    async def diff(self, who: Principal, pipeline_id: PipelineId, number: int, to: int | None = None) -> VersionDiff:
        """Return what differs between version ``number`` and ``to`` (None: the one that runs). Raises NotFound."""
        before = await self.get(who, pipeline_id, number)
        running, _ = await self._one(who, pipeline_id, number)
        after = await self.get(who, pipeline_id, running if to is None else to)
        return VersionDiff(
            before=before.version,
            after=after.version,
            changes=changes(before.document, after.document),
            words=in_words(before.document, after.document),
        )

    async def save(
        self, who: Principal, pipeline_id: PipelineId, document: dict[str, Any], note: str | None = None
    ) -> VersionView:
        """Save ``document`` as a candidate: it is judged like one that runs, and does not run.

        Raises:
            NotFound: no such pipeline.
            Invalid: with every problem of the document.
            Conflict: the name is taken.
        """
        require(who, Action.PIPELINE_WRITE)
        async with self._changes.turn():
            saved = await self._plane.read(lambda tx: store.find(tx, who.organisation_id, pipeline_id))
            decoded = await self._decoded(document, [saved[1]])
            return await self._keep(who, saved, decoded, note)

    async def restore(
        self, who: Principal, pipeline_id: PipelineId, number: int, *, note: str | None = None, run: bool = True
    ) -> VersionView:
        """Save an earlier document as a new version, and run it unless told otherwise; today's secrets stay in use.

        Raises:
            NotFound: no such pipeline or version.
            Conflict: a column would change its type (``run`` False, then a replay, is the way), or the name is taken.
        """
        require(who, Action.PIPELINE_WRITE)
        said = note or f"version {number} again"
        async with self._changes.turn():
            saved = await self._plane.read(lambda tx: store.find(tx, who.organisation_id, pipeline_id))
            _, old = await self._one(who, pipeline_id, number)
            decoded = await self._decoded(self._definitions.mask(old.definition), [saved[1], old])
            if not run:
                return await self._keep(who, saved, decoded, said)
        view = await self._pipelines.replace(who, pipeline_id, msgspec.to_builtins(decoded), said)
        return await self.get(who, pipeline_id, view.version)

    async def all(self, who: Principal, pipeline_id: PipelineId) -> list[VersionView]:
        """Return every version, newest first. Raises NotFound."""
        require(who, Action.PIPELINE_READ)

        def read(tx: Session) -> tuple[int, list[PipelineVersionRow]]:
            running = store.find(tx, who.organisation_id, pipeline_id)[0].version
            return running, [*store.versions(tx, pipeline_id)]

        running, rows = await self._plane.read(read)
        return [version_view(row, running, self._definitions) for row in rows]

    async def _one(self, who: Principal, pipeline_id: PipelineId, number: int) -> tuple[int, PipelineVersionRow]:
        """Return the number of the running version, and the version ``number``."""

        def read(tx: Session) -> tuple[int, PipelineVersionRow]:
            running = store.find(tx, who.organisation_id, pipeline_id)[0].version
            return running, store.version(tx, pipeline_id, number)

        return await self._plane.read(read)

    async def _decoded(self, document: dict[str, Any], stored: list[PipelineVersionRow]) -> PipelineDocument:
        """Return ``document``; a masked secret takes its value from the first of ``stored`` that has one for each."""
        *earlier, last = stored
        decode = self._definitions.decode
        for row in earlier:
            try:
                return await self._engine.workers.run("control", decode, document, row.definition)
            except Invalid:
                continue  # its source has other secrets: the next one's are tried, and tell what is wrong
        return await self._engine.workers.run("control", decode, document, last.definition)

    async def _keep(
        self, who: Principal, saved: store.Saved, document: PipelineDocument, note: str | None
    ) -> VersionView:
        row = saved[0]
        number = await self._plane.read(lambda tx: store.next_version(tx, row.id))
        pipeline = Pipeline(
            id=PipelineId(row.id),
            organisation_id=OrganisationId(row.organisation_id),
            version=number,
            state=State(row.state),
            document=document,
        )
        await self._changes.keep(who, pipeline, note)
        return await self.get(who, pipeline.id, number)
