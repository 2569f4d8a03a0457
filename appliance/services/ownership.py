"""Whose pipeline it is: asked before anything of it is read from a store that does not know."""

from sqlalchemy import select

from appliance.domain.access import Principal
from appliance.domain.ids import PipelineId
from appliance.domain.pipeline import State
from appliance.errors import NotFound
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import PipelineRow


class Ownership:
    """Looks into the control plane each time, while it answers: a deletion counts from that moment."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    async def check(self, who: Principal, pipeline_id: PipelineId) -> None:
        """Return if the pipeline belongs to the organisation of ``who``.

        Raises:
            NotFound: there is none, or it belongs to somebody else.
        """
        mine = select(PipelineRow.id).where(
            PipelineRow.id == pipeline_id,
            PipelineRow.organisation_id == who.organisation_id,
            PipelineRow.state != State.DELETED.value,
        )
        question = ("owns", who.organisation_id, pipeline_id)
        if await self._plane.recall(question, lambda tx: tx.scalar(mine)) is None:
            raise NotFound(f"there is no pipeline {pipeline_id!r}")
