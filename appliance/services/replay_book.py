"""The book of replays: kept in the control plane, beside the pipelines whose running version they change."""

from contextlib import AbstractAsyncContextManager

from sqlalchemy.orm import Session

from appliance.components.replays import ReplayBook
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.pipeline import Pipeline, State
from appliance.domain.replay import UNFINISHED, Replay, ReplayState, Told, Wish
from appliance.errors import NotFound
from appliance.services.definitions import Definitions
from appliance.services.pipeline_changes import PipelineChanges
from appliance.services.readers import check_reading
from appliance.storage.control import pipelines as pipeline_store
from appliance.storage.control import replays as store
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import PipelineRow

APPLIANCE = "dash"  # who did what nobody did by hand


class ControlBook:
    """See ``ReplayBook``."""

    def __init__(
        self, plane: ControlPlane, definitions: Definitions, changes: PipelineChanges, clock: Clock = utc_now
    ) -> None:
        self._plane, self._definitions, self._changes, self._clock = plane, definitions, changes, clock

    def turn(self) -> AbstractAsyncContextManager[None]:
        return self._changes.turn()

    async def save(self, replay: Replay) -> None:
        await self._plane.write(lambda tx: store.save(tx, replay))

    async def ask(self, replay: Replay, wish: Wish | None) -> None:
        await self._plane.write(lambda tx: store.ask(tx, replay, wish))

    async def tell(self, replay: Replay, told: Told) -> None:
        await self._plane.write(lambda tx: store.tell(tx, replay, told))

    async def finish(self, replay: Replay, version: int | None, action: str) -> None:
        def work(tx: Session) -> None:
            store.save(tx, replay)
            if version is not None:
                pipeline = self._checked(tx, replay.pipeline_id, version)
                store.adopt(tx, replay.pipeline_id, version, pipeline.document.name, self._clock())
            detail = {"replay": replay.id, "version": version, "first_seq": replay.first_seq}
            deed = Deed(
                organisation_id=replay.organisation_id,
                who=APPLIANCE,
                action=action,
                target=replay.pipeline_id,
                detail=detail | {"last_seq": replay.last_seq, "identical": replay.identical},
            )
            record(tx, deed, self._clock())

        await self._plane.write(work)
        self._changes.bell.ring()  # other nodes run that version too

    async def check_version(self, pipeline_id: PipelineId, version: int) -> None:
        await self._plane.read(lambda tx: self._checked(tx, pipeline_id, version))

    async def pipeline(self, pipeline_id: PipelineId, version: int | None = None) -> Pipeline:
        return await self._plane.read(lambda tx: self._pipeline(tx, pipeline_id, version))

    async def replay(self, replay: Replay) -> Replay:
        return await self._plane.read(lambda tx: store.find(tx, replay.organisation_id, replay.id))

    async def unfinished(self) -> list[Replay]:
        return await self._plane.read(lambda tx: store.in_states(tx, UNFINISHED))

    async def swapped(self) -> list[Replay]:
        found = await self._plane.read(lambda tx: store.in_states(tx, {ReplayState.SWAPPED}))
        return [replay for replay in found if replay.undo_until is not None]

    def _checked(self, tx: Session, pipeline_id: PipelineId, version: int) -> Pipeline:
        pipeline = self._pipeline(tx, pipeline_id, version)
        pipeline_store.check_name(tx, pipeline.organisation_id, pipeline.document.name, pipeline_id)
        check_reading(tx, pipeline)
        return pipeline

    def _pipeline(self, tx: Session, pipeline_id: PipelineId, version: int | None) -> Pipeline:
        row = tx.get(PipelineRow, pipeline_id)
        if row is None or row.state == State.DELETED.value:
            raise NotFound(f"there is no pipeline {pipeline_id!r}")
        saved = pipeline_store.version(tx, pipeline_id, row.version if version is None else version)
        return Pipeline(
            id=pipeline_id,
            organisation_id=OrganisationId(row.organisation_id),
            version=saved.version,
            state=State(row.state),
            document=self._definitions.unseal(saved.definition),
            secrets=self._definitions.unseal_all(row.secrets),
            era=row.era,
        )


_: type[ReplayBook] = ControlBook
