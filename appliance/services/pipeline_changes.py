"""Changes of pipelines in the control plane and in the engine: a crash or an error leaves both agreeing."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Final

from msgspec.structs import replace
from sqlalchemy.orm import Session

from appliance.domain.access import Principal
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.pipeline import TRANSITIONS, Pipeline, PipelineDocument, State
from appliance.engine.bells import Bell
from appliance.errors import Conflict, DashError, Invalid, Problem
from appliance.services.acting import check_acts
from appliance.services.allowance import Allowance
from appliance.services.definitions import Definitions
from appliance.services.ports import Engine
from appliance.services.readers import check_reading, check_unread
from appliance.services.removal import jobs_for
from appliance.storage.control import pipelines as store
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.jobs import enqueue
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import PipelineRow
from license.entitlements import Thing

OF_THE_MACHINE: Final = "host_metrics"  # the source that tells of what all organisations share


class PipelineChanges:
    """One change at a time: hold ``turn`` from reading what is to be changed until it is."""

    def __init__(
        self, plane: ControlPlane, definitions: Definitions, engine: Engine, allowance: Allowance,
        clock: Clock = utc_now,
    ) -> None:  # fmt: skip
        self._plane, self._definitions, self._engine, self._clock = plane, definitions, engine, clock
        self._allowance = allowance
        self._lock = asyncio.Lock()
        self.bell = Bell()  # rung when a change is saved

    def turn(self) -> AbstractAsyncContextManager[None]:
        return self._lock

    async def add(self, who: Principal, pipeline: Pipeline) -> None:
        """Save ``pipeline``, then start it; what does not start is not saved.

        Raises:
            Invalid: it would read a pipeline that there is not, or itself.
            Conflict: the name is taken.
            Unlicensed: there are as many as the licence allows, or more events a day.
        """
        check_source(who, pipeline.document)
        await self._plane.write(lambda tx: self._insert(tx, who, pipeline))
        try:
            await self._engine.start_pipeline(pipeline)
        except BaseException:
            await self._plane.write(lambda tx: store.remove(tx, pipeline.id))
            raise
        self.bell.ring()

    async def swap(
        self, who: Principal, before: Pipeline, after: Pipeline, action: str, note: str | None = None
    ) -> None:
        """Run ``after`` instead of ``before``, then save it: if either fails, ``before`` runs on and stays saved.

        A version that is saved already (a candidate, an earlier one) only becomes the one that runs.

        A pipeline that had failed runs again: any change is a reason to try.

        Raises:
            Invalid: it would read a pipeline that there is not, or one that reads it in turn.
            Conflict: the name is taken or needed, the state does not permit it, or a column would change its type.
        """
        if after.state is State.FAILED:
            after = replace(after, state=State.RUNNING)
        if after.state is not before.state and after.state not in TRANSITIONS[before.state]:
            raise Conflict(f"a pipeline that is {before.state.value!r} cannot become {after.state.value!r}")
        if after.document.source != before.document.source:
            check_source(who, after.document)
        await self._plane.read(lambda tx: _check_document(tx, before, after))
        await self._engine.start_pipeline(after)
        try:
            await self._plane.write(lambda tx: self._update(tx, who, (before, after), action, note))
        except DashError:
            await self._engine.start_pipeline(before)
            raise
        self.bell.ring()

    async def remove(self, who: Principal, pipeline_id: PipelineId) -> None:
        """Mark as deleted, then remove everything; ``purge`` goes on where a crash interrupts it.

        Events on the disks of other nodes are removed by jobs of theirs.

        Raises:
            Conflict: other pipelines read it.
        """
        await self._plane.write(lambda tx: self._condemn(tx, who, pipeline_id))
        self.bell.ring()
        await self.purge(who.organisation_id, pipeline_id)

    async def purge(self, organisation_id: OrganisationId, pipeline_id: PipelineId) -> None:
        """Remove events, rows, versions and the pipeline itself, in this order; may be done again."""
        await self._engine.delete_pipeline(pipeline_id)
        workers = self._engine.workers
        silver = await workers.run("control", self._engine.silver, organisation_id)
        await workers.run("control", silver.drop, pipeline_id)
        await self._plane.write(lambda tx: store.remove(tx, pipeline_id))

    async def note(self, who: Principal, pipeline: Pipeline, action: str) -> None:
        """Write into the audit trail that somebody did ``action``."""
        await self._plane.write(lambda tx: record(tx, _deed(who, pipeline, action), self._clock()))

    def _insert(self, tx: Session, who: Principal, pipeline: Pipeline) -> None:
        check_acts(tx, who)
        store.check_name(tx, pipeline.organisation_id, pipeline.document.name)
        check_reading(tx, pipeline)
        self._allowance.check(tx, Thing.PIPELINES)
        now = self._clock()
        row = PipelineRow(
            id=pipeline.id,
            organisation_id=pipeline.organisation_id,
            live_name=pipeline.document.name,
            state=pipeline.state.value,
            version=pipeline.version,
            secrets=self._definitions.seal_all(pipeline.secrets),
            created_at=now,
            updated_at=now,
        )
        tx.add(row)
        tx.flush()
        store.add_version(tx, row.id, self._edition(who, pipeline))
        record(tx, _deed(who, pipeline, "pipeline.create"), now)

    async def keep(self, who: Principal, pipeline: Pipeline, note: str | None) -> None:
        """Save ``pipeline``'s version as a candidate: what runs is not touched. Raises Conflict: the name is taken."""

        check_source(who, pipeline.document)

        def save(tx: Session) -> None:
            store.check_name(tx, pipeline.organisation_id, pipeline.document.name, pipeline.id)
            check_reading(tx, pipeline)
            store.add_version(tx, pipeline.id, self._edition(who, pipeline, note))
            record(tx, _deed(who, pipeline, "pipeline.save_version"), self._clock())

        await self._plane.write(save)

    def _edition(self, who: Principal, pipeline: Pipeline, note: str | None = None) -> store.Edition:
        return store.Edition(
            version=pipeline.version,
            definition=self._definitions.seal(pipeline.document),
            author=who.name,
            at=self._clock(),
            note=note,
        )

    def _update(
        self, tx: Session, who: Principal, change: tuple[Pipeline, Pipeline], action: str, note: str | None
    ) -> None:
        before, after = change
        row, _ = store.find(tx, before.organisation_id, before.id)
        if row.version != before.version:
            raise Conflict(f"pipeline {before.id!r} was changed by somebody else: look at it again, then repeat")
        _check_document(tx, before, after)
        now = self._clock()
        row.live_name, row.state, row.version = after.document.name, after.state.value, after.version
        if after.secrets != before.secrets:
            row.secrets = self._definitions.seal_all(after.secrets)
        row.updated_at = now
        if after.version != before.version and after.version >= store.next_version(tx, row.id):
            store.add_version(tx, row.id, self._edition(who, after, note))
        record(tx, _deed(who, after, action), now)

    def _condemn(self, tx: Session, who: Principal, pipeline_id: PipelineId) -> None:
        row, _ = store.find(tx, who.organisation_id, pipeline_id)
        check_unread(tx, who.organisation_id, pipeline_id)
        deed = Deed(
            organisation_id=who.organisation_id,
            who=who.name,
            action="pipeline.delete",
            target=pipeline_id,
            detail={"name": row.live_name, "version": row.version},
        )
        row.live_name, row.state = None, State.DELETED.value
        record(tx, deed, self._clock())
        for job in jobs_for(tx, who.organisation_id, pipeline_id, alone=not self._engine.looks):
            enqueue(tx, job, self._clock())


def check_source(who: Principal, document: PipelineDocument) -> None:
    """Return if the organisation of ``who`` may receive from there. Raises Invalid: it tells of the whole appliance."""
    if document.source.get("type") == OF_THE_MACHINE and not who.operates:
        told = f"{OF_THE_MACHINE!r} tells of the machine: only the organisation that operates the appliance receives it"
        raise Invalid([Problem("/source/type", told)])


def _check_document(tx: Session, before: Pipeline, after: Pipeline) -> None:
    if after.document == before.document:  # pausing or resuming changes nothing that could be wrong
        return
    store.check_name(tx, before.organisation_id, after.document.name, before.id)
    check_reading(tx, after)


def _deed(who: Principal, pipeline: Pipeline, action: str) -> Deed:
    detail = {"name": pipeline.document.name, "version": pipeline.version}
    return Deed(organisation_id=who.organisation_id, who=who.name, action=action, target=pipeline.id, detail=detail)
