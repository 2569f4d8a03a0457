"""The licence where the appliance is put together: for a start, for a command on a stopped one, for ``doctor``."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.access import Principal, Role
from appliance.domain.clock import utc_now
from appliance.domain.finding import Examined
from appliance.domain.ids import NodeId, OrganisationId, PipelineId
from appliance.errors import DashError
from appliance.observe.license_metrics import LicenseMetrics, LicenseNumbers
from appliance.observe.metrics import Metrics
from appliance.placing import open_control, place_of
from appliance.services.allowance import Allowance, counted
from appliance.services.license_views import COMMUNITY, LicenseView, view
from appliance.services.license_watch import LicenseWatch
from appliance.services.licenses import Licenses
from appliance.services.users import AT_THE_MACHINE
from appliance.settings import Settings
from appliance.storage.control import installation
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import OrganisationRow
from license.entitlements import Thing
from license.keys import KeyRing
from license.standing import Standing

if TYPE_CHECKING:
    from appliance.compose import Appliance


def licensed(plane: ControlPlane, ring: KeyRing, joins: NodeId | None = None) -> Allowance:
    """Return what is allowed by what the control plane holds; blocking.

    ``joins``: a node that is to take part beside others. Raises Unlicensed: there are as many already.
    """
    allowance = Allowance(plane, ring)
    allowance.load()
    if joins is not None:
        plane.read_now(lambda tx: allowance.admit(tx, joins))
    return allowance


@asynccontextmanager
async def licenses_offline(settings: Settings, ring: KeyRing) -> AsyncIterator[tuple[Licenses, Principal]]:
    """Give the licence of a stopped appliance to a command, and in whose name; the caller owns the data directory."""
    plane, _ = await asyncio.to_thread(open_control, settings, asyncio.to_thread)
    try:
        first = select(OrganisationRow.id).where(OrganisationRow.operates)
        organisation = await plane.read(lambda tx: tx.scalar(first) or "")
        who = Principal(
            organisation_id=OrganisationId(organisation), role=Role.ADMIN, name=AT_THE_MACHINE, operates=True
        )
        yield Licenses(plane, await asyncio.to_thread(licensed, plane, ring)), who
    finally:
        plane.close()


def examine(settings: Settings, ring: KeyRing) -> Iterator[Examined]:
    """Look at the licence of an appliance that runs or not, and change nothing."""
    found = looked_at(settings, ring)
    if found is not None:
        yield from _told(found)


def looked_at(settings: Settings, ring: KeyRing) -> LicenseView | None:
    """Return what is in force, of an appliance that runs or not; changes nothing.

    None where nobody has opened it yet, another version made it, or it cannot be read: others tell of that.
    """
    place = place_of(settings)
    if isinstance(place, Path) and not place.exists():
        return None
    try:
        plane = ControlPlane.look(place)
        try:
            return plane.read_now(lambda tx: _seen(tx, plane, ring)) if plane.is_there() else None
        finally:
            plane.close()
    except DashError:
        return None


def _seen(tx: Session, plane: ControlPlane, ring: KeyRing) -> LicenseView | None:
    found = installation.stored(tx)
    if found is None:
        return None
    allowance = Allowance(plane, ring)
    allowance.learn(found)
    used = {thing: counted(tx, thing, utc_now()) for thing in Thing}
    return view(allowance.held, allowance.now(), used, ring.names, clock_set_back=allowance.clock_set_back())


def _told(found: LicenseView) -> Iterator[Examined]:
    for one in found.warnings:
        yield Examined("licence", "warning", one.message, one.remedy)
    if found.warnings:
        return
    if found.standing is Standing.COMMUNITY:
        yield Examined("licence", "fine", "none is installed: Community, with all safety features")
    else:
        until = f"until {found.valid_to} ({found.days_left} days)"
        yield Examined("licence", "fine", f"{found.edition}, of {found.customer}, {until}")


async def start_watching(it: "Appliance", metrics: Metrics, stack: AsyncExitStack) -> None:
    """Have this node see to the licence until ``stack`` is closed."""
    watch = LicenseWatch(it.plane, it.allowance, partial(_received, it), partial(_owners, it))
    metrics.add(LicenseMetrics(partial(_numbers, it.allowance)))
    await watch.look()
    stack.push_async_callback(_last_look, it, watch)
    stack.callback(asyncio.create_task(watch.run(it.services.licenses.bell), name="license").cancel)


async def _last_look(it: "Appliance", watch: LicenseWatch) -> None:
    """Count what came last, unless that would hold up the end."""
    if it.database is None or it.database.told()[0]:
        await watch.look()


def _received(it: "Appliance") -> dict[PipelineId, int]:
    """Return what this node itself has taken; a node that keeps no events has taken none."""
    return {} if it.engine.looks else {run.pipeline.id: run.stats().ledger.received for run in it.engine.runs()}


def _owners(it: "Appliance") -> dict[PipelineId, OrganisationId]:
    return {run.pipeline.id: run.pipeline.organisation_id for run in it.engine.runs()}


def _numbers(allowance: Allowance) -> LicenseNumbers:
    held, now = allowance.held, allowance.now()
    license = held.license
    left = None
    if license is not None:
        last = datetime.combine(license.valid_to, time(), UTC)
        left = round((last - utc_now() + timedelta(days=1)).total_seconds())
    return LicenseNumbers(
        edition=license.edition if license else COMMUNITY,
        standing=now.outlook.standing.value,
        standings=[one.value for one in Standing],
        expires_in_secs=left,
        limits={thing.value: now.entitlements.limit(thing) for thing in Thing},
        used={thing.value: count for thing, count in allowance.used.items()},
        refused={thing.value: count for thing, count in allowance.refused.items()},
        clock_set_back=allowance.clock_set_back(),
        counts=held.trouble is None,
    )
