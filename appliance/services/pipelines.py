"""Pipelines: their documents, versions, secrets and whether they run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from appliance.domain.access import Action, Principal, require
from appliance.domain.ids import OrganisationId, PipelineId, new_id
from appliance.domain.pipeline import Pipeline, PipelineDocument, State
from appliance.errors import Conflict, DashError, FatalError, Problem
from appliance.services.definitions import Definitions
from appliance.services.paging import bounded, cursor_of, place_of
from appliance.services.pipeline_changes import PipelineChanges
from appliance.services.pipeline_views import pipeline_view
from appliance.services.ports import Engine
from appliance.services.views import CreatedPipeline, Page, PipelineView
from appliance.sources.signatures import generate_secret
from appliance.storage.control import pipelines as store
from appliance.storage.control.plane import ControlPlane

MOST_SECRETS: Final = 5
Change = Callable[[PipelineDocument], PipelineDocument]

log = structlog.get_logger("pipelines")


class Pipelines:
    """What people do with pipelines. ``stored`` is for the start of the program, ``catch_up`` for the time after."""

    def __init__(self, plane: ControlPlane, definitions: Definitions, engine: Engine, changes: PipelineChanges) -> None:
        self._plane, self._definitions, self._engine, self._changes = plane, definitions, engine, changes
        self.bell = changes.bell  # rung when a change is saved
        self.unreadable: dict[PipelineId, str] = {}  # what ``stored`` left out, and why
        self._saved_at: dict[PipelineId, datetime] = {}  # the change that was run last

    def sources(self) -> dict[str, type[Struct]]:
        """Return the declaration of every source there is, by its type: what forms and documents are made from."""
        return self._definitions.sources()

    async def lint(self, document: dict[str, Any]) -> list[Problem]:
        """Return all that is wrong with the document; nothing: it could be saved."""
        return await self._engine.workers.run("control", self._definitions.lint, document)

    async def get(self, who: Principal, pipeline_id: PipelineId) -> PipelineView:
        """Return one pipeline. Raises NotFound."""
        require(who, Action.PIPELINE_READ)
        question = ("pipeline", who.organisation_id, pipeline_id)
        return self._view(
            await self._plane.recall(question, lambda tx: store.find(tx, who.organisation_id, pipeline_id))
        )

    async def create(self, who: Principal, document: dict[str, Any]) -> CreatedPipeline:
        """Save and start a pipeline; a signed webhook without secrets gets one.

        Raises:
            Invalid: with every problem of the document.
            Conflict: the name is taken.
            Unlicensed: there are as many as the licence allows, or more events a day.
        """
        require(who, Action.PIPELINE_WRITE)
        decoded = await self._engine.workers.run("control", self._definitions.decode, document)
        secret = generate_secret() if self._definitions.wants_secret(decoded) else None
        pipeline = Pipeline(
            id=PipelineId(new_id("pl")),
            organisation_id=who.organisation_id,
            version=1,
            state=State.RUNNING,
            document=decoded,
            secrets=(secret,) if secret else (),
        )
        async with self._changes.turn():
            await self._changes.add(who, pipeline)
        return CreatedPipeline(pipeline=await self.get(who, pipeline.id), secret=secret)

    async def replace(
        self, who: Principal, pipeline_id: PipelineId, document: dict[str, Any], note: str | None = None
    ) -> PipelineView:
        """Save a new version and run it. A masked secret keeps its stored value; so do the generated ones.

        Raises:
            NotFound: no such pipeline.
            Invalid: with every problem of the document.
            Conflict: the name is taken, or a column would change its type.
        """
        require(who, Action.PIPELINE_WRITE)
        async with self._changes.turn():
            saved = await self._find(who, pipeline_id)
            decode = self._definitions.decode
            decoded = await self._engine.workers.run("control", decode, document, saved[1].definition)
            before = self._present(saved)
            secrets = before.secrets
            if not secrets and self._definitions.wants_secret(decoded):
                secrets = (generate_secret(),)  # signed from now on; ``secrets`` shows it
            number = await self._plane.read(lambda tx: store.next_version(tx, pipeline_id))
            after = replace(before, document=decoded, version=number, secrets=secrets)
            await self._changes.swap(who, before, after, "pipeline.replace", note)
        return await self.get(who, pipeline_id)

    async def adjust(
        self,
        who: Principal,
        pipeline_id: PipelineId,
        change: Callable[[PipelineDocument], PipelineDocument],
        action: str,
    ) -> None:
        """Run a new version that ``change`` makes of the document that runs; the same: nothing happens.

        Whoever asks has judged what it changes. Raises NotFound.
        """
        require(who, Action.PIPELINE_WRITE)
        async with self._changes.turn():
            before = self._present(await self._find(who, pipeline_id))
            document = change(before.document)
            if document != before.document:
                number = await self._plane.read(lambda tx: store.next_version(tx, pipeline_id))
                await self._changes.swap(who, before, replace(before, document=document, version=number), action)

    async def delete(self, who: Principal, pipeline_id: PipelineId) -> None:
        """Stop the pipeline and remove it with its events and rows. Raises NotFound."""
        require(who, Action.PIPELINE_WRITE)
        async with self._changes.turn():
            await self._changes.remove(who, pipeline_id)

    async def pause(self, who: Principal, pipeline_id: PipelineId) -> PipelineView:
        """Stop receiving; what Bronze holds is still refined. Paused already: nothing happens. Raises NotFound."""
        return await self._change(who, pipeline_id, "pipeline.pause", lambda one: replace(one, state=State.PAUSED))

    async def resume(self, who: Principal, pipeline_id: PipelineId) -> PipelineView:
        """Receive again, also after a failure. Running already: nothing happens. Raises NotFound."""
        return await self._change(who, pipeline_id, "pipeline.resume", lambda one: replace(one, state=State.RUNNING))

    async def secrets(self, who: Principal, pipeline_id: PipelineId) -> list[str]:
        """Return the signing secrets in clear, newest first; audited. Raises NotFound, Conflict (has none)."""
        require(who, Action.PIPELINE_WRITE)
        pipeline = self._running(await self._find(who, pipeline_id))
        found = [*pipeline.secrets, *self._definitions.configured_secrets(pipeline.document)]
        if not found:
            raise Conflict(f"pipeline {pipeline.document.name!r} has no signing secrets: its source checks none")
        await self._changes.note(who, pipeline, "pipeline.show_secrets")
        return found

    async def rotate_secret(self, who: Principal, pipeline_id: PipelineId) -> str:
        """Add a new secret in front and return it; the old ones stay valid until ``drop_secret``.

        Raises:
            NotFound: no such pipeline.
            Conflict: its source checks no signatures, or too many secrets are valid at once.
        """
        secret = generate_secret()

        def rotated(pipeline: Pipeline) -> Pipeline:
            if not self._definitions.checks_signatures(pipeline.document):
                raise Conflict(f"pipeline {pipeline.document.name!r} checks no signatures: it has no secret to rotate")
            if len(pipeline.secrets) >= MOST_SECRETS:
                raise Conflict(f"{MOST_SECRETS} secrets are valid at once: drop the old ones first")
            return replace(pipeline, secrets=(secret, *pipeline.secrets))

        await self._change(who, pipeline_id, "pipeline.rotate_secret", rotated)
        return secret

    async def drop_secret(self, who: Principal, pipeline_id: PipelineId) -> PipelineView:
        """Forget all generated secrets but the newest. Raises NotFound, Conflict (there is no older one)."""

        def only_newest(pipeline: Pipeline) -> Pipeline:
            if len(pipeline.secrets) < 2:
                raise Conflict(f"pipeline {pipeline.document.name!r} has no older secret to drop: rotate it first")
            return replace(pipeline, secrets=pipeline.secrets[:1])

        return await self._change(who, pipeline_id, "pipeline.drop_secret", only_newest)

    async def stored(self) -> list[Pipeline]:
        """Return the pipelines of all organisations as the engine runs them; deletions cut short are finished first.

        For the start of the program, on nobody's behalf. One whose secrets cannot be read is logged and left out.
        """
        runnable = []
        for saved in await self._plane.read(store.everything):
            row = saved[0]
            if row.state == State.DELETED.value:
                await self._changes.purge(OrganisationId(row.organisation_id), PipelineId(row.id))
                continue
            self._saved_at[PipelineId(row.id)] = row.updated_at
            try:
                runnable.append(self._running(saved))
            except FatalError as error:
                log.error("pipeline.unreadable", pipeline=row.id, error=str(error), hint=error.hint)
                self.unreadable[PipelineId(row.id)] = f"{error} ({error.hint})"
        return runnable

    async def catch_up(self) -> None:
        """Run in this process what other nodes have saved, and stop what they have deleted; on nobody's behalf.

        Events of a deleted pipeline that lie on this node's disk are not touched here, but by a job of this node's
        (``removal``): a control plane that was put back from a copy must not cost any.
        """
        async with self._changes.turn():
            saved = [one for one in await self._plane.read(store.everything) if one[0].state != State.DELETED.value]
            for pipeline_id in self._engine.running_ids() - {PipelineId(row.id) for row, _ in saved}:
                await self._engine.stop_pipeline(pipeline_id)
            for one in saved:
                await self._run_as_saved(one)

    async def _run_as_saved(self, saved: store.Saved) -> None:
        """Run it if it is another than the one that runs, or has failed and was changed since: see ``swap``."""
        pipeline_id = PipelineId(saved[0].id)
        before = self._saved_at.get(pipeline_id)
        self._saved_at[pipeline_id] = saved[0].updated_at
        try:
            pipeline = self._running(saved)
            failed = self._engine.state(pipeline_id, pipeline.state) is State.FAILED
            again = failed and before != saved[0].updated_at
            if again or self._engine.pipeline(pipeline_id) != pipeline:
                await self._engine.start_pipeline(pipeline)
        except DashError as error:  # the others shall run
            log.error("pipeline.not_caught_up", pipeline=pipeline_id, error=str(error))

    async def list(self, who: Principal, cursor: str | None = None, limit: int = 50) -> Page[PipelineView]:
        """Return the organisation's pipelines, oldest first."""
        require(who, Action.PIPELINE_READ)
        after = place_of(cursor)[0] if cursor is not None else ""
        wanted = bounded(limit) + 1
        question = ("pipelines", who.organisation_id, after, wanted)
        found = await self._plane.recall(question, lambda tx: store.page(tx, who.organisation_id, after, wanted))
        more = cursor_of([found[limit - 1][0].id]) if len(found) > limit else None
        return Page([self._view(saved) for saved in found[:limit]], more)

    async def _change(
        self, who: Principal, pipeline_id: PipelineId, action: str, change: Callable[[Pipeline], Pipeline]
    ) -> PipelineView:
        """Change a pipeline without a new version of its document."""
        require(who, Action.PIPELINE_WRITE)
        async with self._changes.turn():
            before = self._present(await self._find(who, pipeline_id))
            after = change(before)
            if after != before:
                await self._changes.swap(who, before, after, action)
        return await self.get(who, pipeline_id)

    async def _find(self, who: Principal, pipeline_id: PipelineId) -> store.Saved:
        return await self._plane.read(lambda tx: store.find(tx, who.organisation_id, pipeline_id))

    def _view(self, saved: store.Saved) -> PipelineView:
        return pipeline_view(saved, self._definitions, self._engine)

    def _present(self, saved: store.Saved) -> Pipeline:
        """Return a stored pipeline in the state that it really has."""
        pipeline = self._running(saved)
        return replace(pipeline, state=self._engine.state(pipeline.id, pipeline.state))

    def _running(self, saved: store.Saved) -> Pipeline:
        """Return a stored pipeline as the engine runs it, secrets in clear."""
        row, version = saved
        return Pipeline(
            id=PipelineId(row.id),
            organisation_id=OrganisationId(row.organisation_id),
            version=row.version,
            state=State(row.state),
            document=self._definitions.unseal(version.definition),
            secrets=self._definitions.unseal_all(row.secrets),
            era=row.era,
        )
