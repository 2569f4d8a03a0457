"""Erasures: somebody's events are removed for good, from Bronze and from everything that was made of them."""

from typing import Any

import msgspec
from sqlalchemy.orm import Session

from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.erasure import Erasure, ErasureState
from appliance.domain.ids import PipelineId, new_id
from appliance.engine.bells import Bell
from appliance.services.erasure_documents import (
    ErasureRequest,
    ErasureView,
    Wanted,
    read_request,
    view_of,
)
from appliance.services.erasure_finding import Finding
from appliance.services.erasure_job import ErasureJob, job_for
from appliance.services.ownership import Ownership
from appliance.services.paging import bounded, cursor_of, place_of
from appliance.services.ports import Engine
from appliance.services.query_documents import conditions
from appliance.services.views import Page
from appliance.storage.control import erasures as store
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.jobs import enqueue
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.vault import Vault


class Erasures:
    """The work is a ``job``, run elsewhere; ``bell`` is rung when there is some."""

    def __init__(
        self,
        plane: ControlPlane,
        vault: Vault,
        engine: Engine,
        finding: Finding,
        clock: Clock = utc_now,
    ) -> None:
        self._plane, self._vault, self._engine = plane, vault, engine
        self._finding, self._clock = finding, clock
        self._ownership = Ownership(plane)
        self.job = ErasureJob(plane, vault, engine, finding, clock)
        self.bell = Bell()

    async def request(self, who: Principal, document: Any) -> ErasureView:
        """Accept an erasure, or a dry run of one; it is done in the background, once for all nodes.

        Raises:
            NotFound: a pipeline does not exist, or does not run.
            Invalid: with every problem.
        """
        require(who, Action.DATA_ERASE)
        request, wanted = read_request(document, self._finding.finder.problem)
        pipelines = tuple(dict.fromkeys(PipelineId(one) for one in request.pipelines))
        for pipeline_id in pipelines:
            await self._ownership.check(who, pipeline_id)
            asked = conditions(wanted.where)
            await self._engine.workers.run("read", self._finding.check, who.organisation_id, pipeline_id, asked)
        erasure = self._new(who, request, pipelines, wanted)
        await self._plane.write(lambda tx: self._accept(tx, who, erasure))
        self.bell.ring()
        return view_of(erasure)

    async def list(self, who: Principal, cursor: str | None = None, limit: int = 50) -> Page[ErasureView]:
        """Return erasures and dry runs, newest first."""
        require(who, Action.DATA_ERASE)
        before = place_of(cursor, tuple[str])[0] if cursor is not None else None
        more = bounded(limit) + 1
        found = await self._plane.read(lambda tx: store.page(tx, who.organisation_id, before, more))
        end = cursor_of([found[limit - 1].id]) if len(found) > limit else None
        return Page([view_of(one) for one in found[:limit]], end)

    async def get(self, who: Principal, erasure_id: str) -> ErasureView:
        """Return one, as far as it is. Raises NotFound."""
        require(who, Action.DATA_ERASE)
        return view_of(await self._plane.read(lambda tx: store.find(tx, who.organisation_id, erasure_id)))

    def _new(
        self, who: Principal, request: ErasureRequest, pipelines: tuple[PipelineId, ...], wanted: Wanted
    ) -> Erasure:
        return Erasure(
            id=new_id("er"),
            organisation_id=who.organisation_id,
            state=ErasureState.WAITING,
            dry_run=request.dry_run,
            reason=request.reason,
            chosen_by=wanted.kinds,
            pipelines=pipelines,
            created_by=who.name,
            created_at=self._clock(),
            wanted=self._vault.seal(msgspec.json.encode(wanted).decode()),
        )

    def _accept(self, tx: Session, who: Principal, erasure: Erasure) -> None:
        store.save(tx, erasure)
        detail = {
            "pipelines": list(erasure.pipelines), "chosen_by": list(erasure.chosen_by), "reason": erasure.reason,
            "dry_run": erasure.dry_run,
        }  # fmt: skip
        deed = Deed(
            organisation_id=who.organisation_id,
            who=who.name,
            action="erasure.request",
            target=erasure.id,
            detail=detail,
        )
        record(tx, deed, erasure.created_at)
        enqueue(tx, job_for(tx, erasure, "request"), erasure.created_at)
