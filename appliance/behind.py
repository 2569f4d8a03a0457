"""Rows that are behind the events: made again by themselves, unless Bronze has no more what they were made of."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import structlog

from appliance.components.bronze import BronzeLog
from appliance.domain.ids import PipelineId
from appliance.domain.partition import local_of
from appliance.domain.pipeline import Pipeline
from appliance.errors import DashError, FatalError
from appliance.storage.control import given_up

if TYPE_CHECKING:
    from appliance.compose import Appliance

log = structlog.get_logger("rows")


class Behind(msgspec.Struct, frozen=True):
    """``again``: events that were refined once, as far as can be told, and will be again.

    ``lost_up_to``: the last event that Bronze has no more and whose rows are not here either; 0: there is none.
    """

    pipeline_id: PipelineId
    name: str
    refined: int
    again: int
    lost_up_to: int


def measure(pipeline: Pipeline, bronze: BronzeLog, refined: int, accepted: Mapping[PipelineId, int]) -> Behind:
    """Compare how far a pipeline's rows are with what this node's Bronze has; blocking.

    ``refined``: its last event that is rows. ``accepted``: what was given up, by seq.
    """
    last = bronze.last_seq(pipeline.id)
    expired = bronze.upkeep.first_seq(pipeline.id) - 1
    lost = expired if refined < expired and accepted.get(pipeline.id, 0) < expired else 0
    none_yet = local_of(refined) == 0  # else what is behind is what came last, as at every start
    return Behind(pipeline.id, pipeline.document.name, refined, last - max(refined, expired) if none_yet else 0, lost)


async def look(it: "Appliance", pipelines: Sequence[Pipeline]) -> list[Behind]:
    """Return the pipelines whose rows have to be made again, or cannot be.

    One whose log or store cannot be read is left out: it is told of when it is started.
    """
    accepted, refined = await it.plane.read(given_up.given_up), await _refined(it, pipelines)
    found = []
    for pipeline in pipelines:
        if pipeline.id not in refined:
            continue
        try:
            one = await it.engine.workers.run(
                "control", measure, pipeline, it.events.own, refined[pipeline.id], accepted
            )
        except DashError as error:
            log.info("rows.not_measured", pipeline=pipeline.id, reason=str(error))
            continue
        if one.again or one.lost_up_to:
            found.append(one)
    return found


async def _refined(it: "Appliance", pipelines: Sequence[Pipeline]) -> dict[PipelineId, int]:
    """Return the last event of each pipeline that is rows, asking each store once."""
    refined: dict[PipelineId, int] = {}
    for organisation_id in dict.fromkeys(one.organisation_id for one in pipelines):
        own = [one.id for one in pipelines if one.organisation_id == organisation_id]
        try:
            silver = await it.engine.workers.run("control", it.silvers.of, organisation_id)
            counted = await it.engine.workers.run("control", silver.counts, own)
        except DashError as error:
            log.info("rows.not_measured", organisation=organisation_id, reason=str(error))
            continue
        refined |= {one: progress.seq for one, progress in counted.items()}
    return refined


async def check(it: "Appliance", pipelines: Sequence[Pipeline]) -> None:
    """Say which rows are made again, before they are.

    Raises:
        FatalError: the rows are in a database, and of some neither it has the rows nor Bronze the events. A file of
            rows that was set aside is another matter: nobody can put its rows back by moving them.
    """
    found = await look(it, pipelines)
    for one in found:
        log.warning("rows.made_again", pipeline=one.pipeline_id, events=one.again, given_up=one.lost_up_to)
    lost = [one for one in found if one.lost_up_to]
    if lost and it.database is not None:
        told = "; ".join(f"{one.name}: events {one.refined + 1} to {one.lost_up_to}" for one in lost)
        raise FatalError(
            f"starting on this database: it lacks rows that cannot be made again, for Bronze has their events no more:"
            f" {told}",
            hint="name an empty database and move the rows too, by 'dash-appliance database move --to DSN'; or give"
            " them up for good by 'dash-appliance database accept-loss'",
        )
