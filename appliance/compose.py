"""Builds the appliance from its settings. The one place, beside the catalog, that names concrete classes."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import uvloop

from appliance import behind, catalog, examine
from appliance.archiving import archiving
from appliance.backups.keeper import Keeper, taken_of
from appliance.behind import Behind
from appliance.choosing import Choosing
from appliance.cluster import Events, Here, joined, outward, partition_here, replaying
from appliance.components.resources import Resources, Upstream
from appliance.components.silver import Table
from appliance.components.source import PullSource, PushSource
from appliance.domain.clock import utc_now
from appliance.domain.disk import Marks
from appliance.domain.ids import NodeId, PipelineId
from appliance.domain.mapping import Mapping
from appliance.domain.memory import mapper_share
from appliance.domain.partition import ALONE
from appliance.domain.pipeline import Pipeline
from appliance.domain.rollup import Rollup
from appliance.egress.client import OutboundClient
from appliance.egress.guard import parse_allowed
from appliance.engine.amend import Amender
from appliance.engine.database_watch import DatabaseWatch
from appliance.engine.disk_guard import DiskGuard
from appliance.engine.elsewhere import Elsewhere
from appliance.engine.engine import Engine
from appliance.engine.engine import Parts as EngineParts
from appliance.engine.incident_watch import IncidentWatch
from appliance.engine.storage_watch import StorageWatch
from appliance.engine.workers import BESIDE_A_SERVER, SIZES, Workers
from appliance.errors import DashError, FatalError
from appliance.licensing import licensed
from appliance.looking import elsewhere_of
from appliance.mapping import Mapper, check, compare, compile_mapping, suggest
from appliance.mapping.search import PayloadSearch
from appliance.measuring import shown, usage
from appliance.observe import logs
from appliance.observe.machine import memory_bytes, raise_open_files
from appliance.pinned import PINNED
from appliance.placing import ELSEWHERE, access_of, open_control, place_of
from appliance.services import Services, drift
from appliance.services.allowance import Allowance
from appliance.services.assembly import Parts, assemble
from appliance.services.sessions import Lifetime
from appliance.settings import NodeRole, Settings
from appliance.silvers import Silvers, files, open_file, open_silvers
from appliance.storage.bronze import FileBronzeLog
from appliance.storage.bronze_cluster import NoLog
from appliance.storage.control import audit, given_up, identity, schema
from appliance.storage.control.plane import ControlPlane
from appliance.storage.export.write import export_as
from appliance.upgrading.staging import Staging
from license.keys import KeyRing

if TYPE_CHECKING:
    from appliance.life import Caller
    from appliance.moving import Order, Place

log = structlog.get_logger("appliance")

MOST_OPEN_SEGMENTS = 256  # of Bronze; less where the process may open few files: connections and DuckDB need theirs
GIL_SECS = 0.001  # a thread that computes holds up the event loop for this long at most; Python's default is 5 ms


@dataclass(frozen=True, slots=True)
class Appliance:
    """Everything that is open."""

    settings: Settings
    node_id: NodeId
    disk: DiskGuard
    watch: StorageWatch
    incidents: IncidentWatch
    plane: ControlPlane
    bronze: FileBronzeLog  # the files of this node, by the numbers that they hold
    events: Events
    silvers: Silvers
    mapper: Mapper
    outbound: OutboundClient
    engine: Engine
    elsewhere: Elsewhere | None  # what other nodes tell a web node; None: this one keeps events itself
    services: Services
    allowance: Allowance
    choosing: Choosing
    database: DatabaseWatch | None  # None: there is none but the files of the data directory


@asynccontextmanager
async def opened(
    settings: Settings, log_here: FileBronzeLog | None = None, *, ring: KeyRing = PINNED, joins: bool = False
) -> AsyncIterator[Appliance]:
    """Open every store, build engine and services, and close it all in the opposite order. Nothing runs yet.

    ``log_here``: this node's events, where they are open already; whoever opened them closes them. ``ring``: whose
    licences count. ``joins``: it is to take part beside other nodes.

    Raises:
        Unlicensed: there are as many nodes as the licence allows, and this one was not among them before.
    """
    async with AsyncExitStack() as stack:
        shared = settings.database.url is not None
        workers = Workers(BESIDE_A_SERVER if shared else SIZES)
        stack.callback(workers.close)
        plane, vault = await asyncio.to_thread(open_control, settings, partial(workers.run, "control"))
        stack.callback(plane.close)
        node_id = await asyncio.to_thread(identity.node_id, settings.server.data_dir)
        allowance = await asyncio.to_thread(licensed, plane, ring, node_id if joins and shared else None)
        number = ALONE  # also of a node that keeps no events
        if settings.server.role is not NodeRole.WEB:
            number = await asyncio.to_thread(partition_here, plane, node_id, settings.server.data_dir, shared=shared)
        silvers = open_silvers(settings, number)
        stack.callback(silvers.close)
        bronze = log_here or _bronze(settings, raise_open_files())
        if log_here is None:
            stack.push_async_callback(bronze.close)
            await asyncio.to_thread(bronze.open)
        elsewhere = elsewhere_of(settings, bronze)
        here = Here(node_id, number, settings.server.data_dir, bronze if elsewhere is None else NoLog(elsewhere.told))
        events = joined(here, plane, workers, stack) if shared else Events(number, bronze, bronze)
        outbound = OutboundClient([parse_allowed(text) for text in settings.egress.allow], settings.egress.ca_file)
        stack.push_async_callback(outbound.close)
        mapper = Mapper(memory_limit=f"{mapper_share(memory_bytes())}B")
        stack.callback(mapper.close)
        disk = _disk(settings)
        source_of = partial(_source, outbound)
        parts = EngineParts(events.all, silvers.of, source_of, mapper, workers, disk=disk, lookout=elsewhere)
        engine = Engine(parts)
        engine.drifts.partition = number if elsewhere is None else None
        stack.push_async_callback(asyncio.to_thread, drift.save_at_the_end, plane, engine.drifts)
        stack.push_async_callback(engine.stop)
        watch, choosing = StorageWatch(engine), Choosing(settings)
        incidents = IncidentWatch(settings.server.data_dir)
        services = assemble(
            Parts(
                plane=plane,
                vault=vault,
                engine=engine,
                catalog=catalog,
                check_mapping=check,
                compare=compare,
                suggest=suggest,
                disk=disk,
                watch=watch,
                archive=bronze.archive.state if bronze.archive is not None else None,
                finder=PayloadSearch(),
                chooser=choosing,
                allowance=allowance,
                keeper=Keeper(settings, partial(taken_of, settings, plane, bronze, silvers, node_id)),
                incidents=incidents,
                stager=Staging(settings, allowance.maintained_to),
                forget_rows=silvers.remove,
                node_id=node_id,
                exporter=export_as,
                outbound=outbound,
                amender=Amender(engine, mapper),
                replaying=partial(replaying, engine, settings.silver.undo_window, shared=shared),
                base_url=settings.server.base_url or "",
                settings=shown(settings),
                lifetime=Lifetime(settings.auth.session_idle, settings.auth.session_max),
            )
        )
        stack.push_async_callback(services.replays.running.close)
        database = None if settings.database.url is None else DatabaseWatch(plane.ask, workers, utc_now)
        it = Appliance(
            settings, node_id, disk, watch, incidents, plane, bronze, events, silvers, mapper, outbound, engine,
            elsewhere, services, allowance, choosing, database,
        )  # fmt: skip
        services.resources.measure = partial(usage, it)
        yield it


def _disk(settings: Settings) -> DiskGuard:
    disk = settings.disk
    marks = Marks(warn=disk.warn / 100, slow=disk.slow / 100, stop=disk.stop / 100, stop_free_bytes=disk.stop_free)
    return DiskGuard(settings.server.data_dir, marks, disk.reserve)


def _bronze(settings: Settings, open_files: int) -> FileBronzeLog:
    return FileBronzeLog(
        settings.server.data_dir / "bronze",
        segment_bytes=settings.bronze.segment_size,
        segment_age=settings.bronze.segment_age,
        max_pending_bytes=settings.ingest.max_inflight_bytes,
        max_open_files=min(MOST_OPEN_SEGMENTS, open_files // 4),
        archive=None if settings.server.role is NodeRole.WEB else archiving(settings),
    )


def _source(outbound: OutboundClient, pipeline: Pipeline, upstream: Upstream | None = None) -> PushSource | PullSource:
    return catalog.make_source(
        pipeline.document.source,
        Resources(
            pipeline_id=pipeline.id,
            outbound=outbound,
            clock=utc_now,
            log=structlog.get_logger("source").bind(pipeline=pipeline.id),
            upstream=upstream,
            secrets=pipeline.secrets,
        ),
    )


@asynccontextmanager
async def open_offline(settings: Settings) -> AsyncIterator[Services]:
    """Give the use cases of a stopped appliance to a command; the caller owns the data directory."""
    async with opened(settings) as it:
        yield it.services


def serve(settings: Settings, caller: "Caller", ring: KeyRing = PINNED) -> bool:
    """Run until SIGTERM or SIGINT; the caller owns the data directory.

    Return whether to start again, with settings read anew: a database was chosen.
    """
    from appliance.life import end_tasks
    from appliance.serving import run  # what only a serving appliance needs takes a second to import
    from appliance.waiting import Means, Start

    async def live() -> bool:
        means = Means(
            opened=partial(opened, ring=ring, joins=True),
            log=lambda: _bronze(settings, raise_open_files()),
            outward=outward,
            disk=partial(_disk, settings),
            source_of=partial(_source, OutboundClient([])),  # what is posted to sends nothing
            order=lambda move, own: move.order(_table_of, own.upkeep.first_seq),
        )
        async with AsyncExitStack() as stack:
            start = Start(settings, caller.service, caller.ready, means, caller.port)
            it = await start.whole(stack)
            return it is not None and await run(it, caller.service, start, partial(_reload, it, caller.reread))

    sys.setswitchinterval(GIL_SECS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        again = runner.run(live())
        if (left := runner.run(end_tasks())) and not again:
            # Everything is closed and durable; waiting for what cannot be cancelled would only hold up the end.
            log.warning("appliance.tasks_left", tasks=left)
            sys.stdout.flush()
            os._exit(0)
    return again


async def _reload(it: Appliance, reread: Callable[[], Settings]) -> None:
    """Let what may change while running change: the log level and where sources may connect to."""
    settings = await asyncio.to_thread(reread)
    logs.set_level(settings.log.level.value)
    await it.outbound.allow([parse_allowed(text) for text in settings.egress.allow])


def verify(settings: Settings, proved: Callable[[int], None] | None = None) -> examine.Report:
    """Prove Bronze, ledgers and audit of a stopped appliance; the caller owns the data directory.

    ``proved``: prove every object in the archive too, and tell how many were by now.
    """

    async def look() -> examine.Report:
        async with opened(settings) as it:
            pipelines = await it.services.pipelines.stored()
            found = await it.plane.read(lambda tx: list(audit.verify(tx)))
            own, silver_of = it.events.own, it.silvers.of
            report = await asyncio.to_thread(examine.verify_all, pipelines, own, silver_of, it.mapper, found)
            if proved is not None:
                ids = [one.id for one in pipelines]
                report.findings.extend(
                    await asyncio.to_thread(examine.archived, ids, it.bronze.prove_archive, proved)
                )  # fmt: skip
            return report

    return asyncio.run(look())


def order(
    settings: Settings, source: "Place", target: "Place", *, rebuild: bool = False, accept_loss: bool = False
) -> "Order":
    """Return the order to move a stopped appliance; the caller owns the data directory."""
    from appliance.moving import Order

    return Order(
        settings=settings,
        source=source,
        target=target,
        table_of=_table_of,
        expired=partial(_expired, settings),
        rebuild=rebuild,
        accept_loss=accept_loss,
    )


def accept_loss(settings: Settings) -> list[Behind]:
    """Give up, for good, what would keep a stopped appliance from starting; return it."""

    async def give_up() -> list[Behind]:
        async with opened(settings) as it:
            lost = [one for one in await behind.look(it, await it.services.pipelines.stored()) if one.lost_up_to]
            seqs = {one.pipeline_id: one.lost_up_to for one in lost}
            if seqs:
                await it.plane.write(lambda tx: given_up.give_up(tx, seqs, utc_now()))
            return lost

    return asyncio.run(give_up())


def _table_of(pipeline_id: PipelineId, mapping: Mapping, rollups: tuple[Rollup, ...]) -> Table:
    compiled = compile_mapping(mapping)
    return Table(pipeline_id, compiled.columns, compiled.keyed, rollups=rollups)


def _expired(settings: Settings, pipeline_ids: Sequence[PipelineId]) -> dict[PipelineId, int]:
    """Return the last event of each pipeline that Bronze has no more; 0: it has them all."""

    async def look() -> dict[PipelineId, int]:
        bronze = _bronze(settings, raise_open_files())
        try:
            return {one: (await asyncio.to_thread(bronze.upkeep.first_seq, one)) - 1 for one in pipeline_ids}
        finally:
            await bronze.close()

    return asyncio.run(look())


def examine_rows(settings: Settings) -> list[Behind]:
    """Return which rows of a stopped appliance are behind what it received; the caller owns the data directory.

    Nothing where rows are in files, which are refilled, and where another version made the database.
    """
    access = access_of(settings)
    if access is None or not (settings.server.data_dir / ELSEWHERE).exists():
        return []
    plane = ControlPlane.look(access)
    try:
        if plane.read_now(lambda tx: schema.revision(tx.connection(), access.schema)) != schema.HEAD:
            return []
    finally:
        plane.close()

    async def look() -> list[Behind]:
        async with opened(settings) as it:
            return await behind.look(it, await it.services.pipelines.stored())

    return asyncio.run(look())


def examine_databases(settings: Settings) -> Iterator[tuple[str, str | None]]:
    """Open each database of a stopped appliance: its name, and what is wrong with it or None."""
    place = place_of(settings)
    openers: list[tuple[str, Callable[[], None]]] = []
    if isinstance(place, Path) and place.exists():
        openers.append((place.name, lambda: ControlPlane.open(place).close()))
        openers.append(("secret.key", partial(_try_key, settings)))
    if isinstance(place, Path):
        openers += [(path.name, partial(_open_and_close, settings, path)) for path in files(settings)]
    return examine.damage(openers)


def _try_key(settings: Settings) -> None:
    """Open every stored secret. Raises FatalError: one cannot be opened; ConfigError: there is no key."""
    try:
        ControlPlane.open(place_of(settings)).close()
    except DashError:
        return  # told under its own name

    async def look() -> None:
        async with opened(settings) as it:
            await it.services.pipelines.stored()
            for reason in it.services.pipelines.unreadable.values():
                raise FatalError(reason, hint="put the original secret.key back")

    asyncio.run(look())


def _open_and_close(settings: Settings, path: Path) -> None:
    open_file(settings, path).close()
