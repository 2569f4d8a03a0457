"""Housekeeping of the control plane: what has expired is forgotten."""

import asyncio
from datetime import timedelta
from typing import Final

from sqlalchemy import delete
from sqlalchemy.orm import Session

from appliance.domain.clock import Clock, utc_now
from appliance.domain.job import ENDED
from appliance.domain.schedule import Every
from appliance.engine.attempt import Attempt
from appliance.engine.jobs import Recurring
from appliance.services.answers import KEPT
from appliance.services.ports import Replaying
from appliance.storage.control.nodes import forget_idle
from appliance.storage.control.partitions import forget_deleted
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import IdempotencyRow, JobRow, SessionRow

TIDY_EVERY: Final = timedelta(hours=1)
FORGET_EVERY: Final = timedelta(minutes=10)
JOBS_KEPT: Final = timedelta(days=30)
IDLE_NODES_KEPT: Final = timedelta(days=30)  # of those that keep no events; the others wait for a person


def recurring(plane: ControlPlane, clock: Clock = utc_now) -> list[Recurring]:
    """Return the jobs that keep the control plane small."""

    def tidy(_: Attempt) -> None:
        plane.write_now(lambda tx: forget_expired(tx, clock))

    return [Recurring("control.tidy", Every(TIDY_EVERY), tidy)]


def recurring_forgetting(replays: Replaying) -> Recurring:
    """Return the job that discards former rows whose replays cannot be undone any more. Call it on the event loop."""
    loop = asyncio.get_running_loop()

    def forget(_: Attempt) -> None:
        asyncio.run_coroutine_threadsafe(replays.forget(), loop).result()

    return Recurring("replay.forget", Every(FORGET_EVERY), forget, per_node=True)


def forget_expired(tx: Session, clock: Clock) -> None:
    """Delete sessions that have ended, answers nobody may ask for again, jobs done long ago, and what is known of nodes
    and pipelines that are no more."""
    now = clock()
    tx.execute(delete(SessionRow).where(SessionRow.expires_at <= now))
    tx.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at <= now - KEPT))
    over = [state.value for state in ENDED]
    tx.execute(delete(JobRow).where(JobRow.state.in_(over), JobRow.finished_at <= now - JOBS_KEPT))
    forget_idle(tx, now - IDLE_NODES_KEPT)
    forget_deleted(tx)
