"""What a serving appliance has beside its stores and services: API, feed, screens, metrics, jobs and one port."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

from appliance import __version__, behind
from appliance.backups.metrics import BackupMetrics
from appliance.conditions import Conditions
from appliance.domain.clock import utc_now
from appliance.engine.jobs import JobRunner, Recurring
from appliance.engine.letter_watch import LetterWatch
from appliance.engine.numbering import keep_numbers
from appliance.engine.payloads import encode
from appliance.engine.refine import Commit
from appliance.engine.shares import Shares
from appliance.errors import TransientError
from appliance.knowing import keep_doors
from appliance.licensing import start_watching
from appliance.life import Callbacks, Life, await_order
from appliance.looking import onlooker_of, start_looking
from appliance.membership import Membership
from appliance.observe.drift_metrics import DriftMetrics
from appliance.observe.incident_metrics import IncidentMetrics
from appliance.observe.memory import keep_trimming
from appliance.observe.metrics import Metrics
from appliance.observe.node_metrics import NodeMetrics
from appliance.observe.replay_metrics import ReplayMetrics
from appliance.observe.replica_metrics import ReplicaMetrics
from appliance.observe.service_manager import ServiceManager
from appliance.placing import ORDERED, access_of
from appliance.rooms import Shown, open_rooms
from appliance.server import bracketed, url_of
from appliance.services.drift import recurring_saving
from appliance.services.erasure_job import FORGET
from appliance.services.erasure_job import JOB as ERASURE
from appliance.services.housekeeping import recurring, recurring_forgetting
from appliance.services.live_dashboards import LiveDashboards
from appliance.services.removal import removing
from appliance.services.retention import RetentionJob
from appliance.services.upkeep import Pressing, recurring_upkeep
from appliance.storage.control.jobs import Jobs
from appliance.storage.control.partitions import Book
from appliance.storage_metrics import ArchiveMetrics, StorageMetrics
from appliance.telling import start_telling
from appliance.vitals import EngineNumbers, Stores, Vitals
from appliance.waiting import Start

if TYPE_CHECKING:
    from appliance.compose import Appliance


async def run(
    it: "Appliance", service: ServiceManager, start: Start[Any], reload: Callable[[], Awaitable[None]]
) -> bool:
    """Start every pipeline, open the port if it is not yet, and return after SIGTERM or SIGINT, when all is drained.

    Return whether to start again.
    """
    life = Life(service)
    it.choosing.again = life.start_again
    server = it.settings.server
    async with AsyncExitStack() as stack:
        letters = LetterWatch(it.engine)
        metrics = Metrics(__version__, server.data_dir, EngineNumbers(it.engine, letters))
        dashboards = LiveDashboards(it.services.dashboards, it.services.queries, it.engine.hub, encode)
        stack.push_async_callback(dashboards.close)
        it.engine.followers.append(_follower(dashboards, metrics))
        it.disk.look()
        member = Membership(it, access_of(it.settings), _reached_at(server.host, server.port))
        onlooker = onlooker_of(it, dashboards)
        member.show(dashboards, onlooker)
        vitals = _vitals(it, member)
        since = utc_now()
        await _watch_incidents(it, stack, Conditions(it, vitals, letters), Shown(metrics, dashboards, vitals))
        start_telling(it, stack, metrics, since)
        await _keep_branding(it, stack)
        root = await open_rooms(it, stack, life, Shown(metrics, dashboards, vitals))
        await _start_pipelines(it)
        stack.callback(asyncio.create_task(it.disk.run(), name="disk").cancel)
        if it.events.directory is not None:
            shares = Shares(it.engine, it.events.own, it.events.partition, Book(it.plane))
            await shares.look()
            stack.push_async_callback(shares.look)  # what came last is told too
            stack.callback(asyncio.create_task(shares.run(), name="shares").cancel)
        await member.start(stack)
        metrics.add(NodeMetrics(member))
        await start_watching(it, metrics, stack)
        if onlooker is not None:
            await start_looking(it, onlooker, stack)
        else:
            await it.services.replays.running.resume()
            _start_jobs(it, stack, metrics, member)
            stack.callback(asyncio.create_task(letters.run(), name="letters").cancel)
        if it.database is not None:
            stack.callback(asyncio.create_task(it.database.run(), name="database").cancel)
            await keep_doors(it, stack)
        stack.callback(asyncio.create_task(keep_trimming(), name="allocator").cancel)
        stack.callback(
            asyncio.create_task(await_order(server.data_dir / ORDERED, life.start_again), name="move").cancel
        )
        await life.live(
            start.listener(root),
            url_of(server),
            Callbacks(start.ready, reload, it.engine.receiver.drain),
            server.drain_timeout.total_seconds(),
        )
    return life.again


async def _watch_incidents(it: "Appliance", stack: AsyncExitStack, conditions: Conditions, shown: Shown) -> None:
    incidents = it.incidents
    incidents.look, incidents.readiness, incidents.exposition = conditions, shown.vitals.checks, shown.metrics.render
    await asyncio.to_thread(incidents.load)
    await _keep_maintenance(it, stack, shown)
    shown.metrics.add(IncidentMetrics(lambda: incidents.incidents, incidents.book, incidents.muting))
    stack.push_async_callback(asyncio.to_thread, incidents.save)
    stack.callback(asyncio.create_task(incidents.run(), name="incidents").cancel)


async def _keep_maintenance(it: "Appliance", stack: AsyncExitStack, shown: Shown) -> None:
    """Know of maintenance before anything begins, and have everybody know who has to."""
    maintenance = it.services.maintenance
    shown.vitals.maintenance = maintenance.told
    if it.elsewhere is not None:
        shown.vitals.away = it.elsewhere.away
    it.engine.resting = it.incidents.muting = lambda: maintenance.on
    with suppress(TransientError):  # the database is away: it is looked at again in a moment
        await maintenance.look()
    stack.callback(asyncio.create_task(maintenance.run(), name="maintenance").cancel)


async def _keep_branding(it: "Appliance", stack: AsyncExitStack) -> None:
    """Know what the appliance is called before anybody is shown a page."""
    branding = it.services.branding
    with suppress(TransientError):  # the database is away: it is looked at again in a moment
        await branding.look()
    stack.callback(asyncio.create_task(branding.run(), name="branding").cancel)


async def _start_pipelines(it: "Appliance") -> None:
    """Start every pipeline that is stored; a node that keeps no events has nothing to settle before."""
    if it.elsewhere is None:
        await it.services.replays.running.recover()
    await it.services.drift.load()
    stored = await it.services.pipelines.stored()
    if it.elsewhere is None:
        await behind.check(it, stored)
        await keep_numbers(it.engine, stored)
    await it.engine.start(stored)
    for pipeline_id, reason in it.services.pipelines.unreadable.items():
        it.engine.receiver.refuse(pipeline_id, reason)


def _start_jobs(it: "Appliance", stack: AsyncExitStack, metrics: Metrics, member: Membership) -> None:
    """Run what recurs and what was enqueued."""
    store, erasures = Jobs(it.plane), it.services.erasures
    retention = RetentionJob(it.plane, it.engine, it.disk, it.settings.silver.compact_above / 100)
    retention.keeps_rows = member.keeps_rows
    kinds = recurring(it.plane) + recurring_upkeep(retention, it.services.storage, it.settings.retention.every)
    kinds.append(recurring_saving(it.plane, it.engine.drifts))
    kinds.append(recurring_forgetting(it.services.replays.running))
    kinds += [Recurring(ERASURE, None, erasures.job.run), Recurring(FORGET, None, erasures.job.forget)]
    kinds.append(removing(it.engine))
    kinds += it.services.backups.job.kinds()
    it.disk.changed.append(Pressing(store, it.engine.workers, utc_now, member.station).changed)
    start_archiving(it, metrics)
    metrics.add(StorageMetrics(it.watch, it.disk, retention))
    metrics.add(ReplicaMetrics(it.silvers.reading))
    backups = it.services.backups.job
    metrics.add(BackupMetrics(it.settings.backup.url, lambda: backups.record))
    metrics.add(DriftMetrics(it.engine.drifts.findings))
    metrics.add(ReplayMetrics(it.services.replays.running.under_way))
    runner = JobRunner(store, kinds, it.engine.workers, utc_now, member.station)
    member.count_jobs = lambda: runner.running
    stack.push_async_callback(runner.close)
    stack.callback(asyncio.create_task(runner.run(), name="jobs").cancel)
    stack.callback(asyncio.create_task(it.watch.run(), name="storage").cancel)
    stack.callback(asyncio.create_task(it.services.backups.job.run(), name="backups").cancel)


def start_archiving(it: "Appliance", metrics: Metrics) -> None:
    """Archive what closes, if there is an archive, and let what is archived go when the disk is nearly full."""
    archive, disk = it.bronze.archive, it.disk
    if archive is None:
        return
    disk.changed.append(lambda state: archive.press(disk.slow))
    archive.press(disk.slow)
    archive.rounds.start()
    metrics.add(ArchiveMetrics(lambda: archive.latest))


def _vitals(it: "Appliance", member: Membership) -> Vitals:
    archive = it.bronze.archive
    archived = (lambda: archive.latest) if archive is not None else None
    stores = Stores(it.bronze.health, it.bronze.damaged, it.silvers.incidents, archived, it.silvers.reading)
    return Vitals(it.engine, it.disk, stores, it.database, member.told)


def _follower(dashboards: LiveDashboards, metrics: Metrics) -> Callable[[Commit], None]:
    def committed(commit: Commit) -> None:
        dashboards.committed(commit.pipeline_id)
        metrics.batch(commit.pipeline_id, commit.took_secs)

    return committed


def _reached_at(host: str, port: int) -> str:
    """Return where other nodes reach this one: by its own name where it listens on every interface."""
    return f"http://{socket.gethostname() if host in ('0.0.0.0', '::') else bracketed(host)}:{port}"  # noqa: S104
