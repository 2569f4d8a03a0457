"""What may be added, by licence, day and clock; the same after a restart; and what a running node sees to."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
import structlog
from sqlalchemy.orm import Session

from appliance.domain.access import Principal, Role
from appliance.domain.ids import NodeId, OrganisationId, PipelineId
from appliance.domain.node import Card
from appliance.errors import Unlicensed
from appliance.services.allowance import Allowance
from appliance.services.license_watch import LicenseWatch
from appliance.services.licenses import Licenses, Refused
from appliance.storage.control import installation as store
from appliance.storage.control.nodes import Nodes
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import OrganisationRow, PipelineRow, UserRow
from license.document import Limits
from license.entitlements import Thing
from license.keys import KeyRing
from license.standing import Standing
from tests.licensed import RING, issued, listed

NOW = datetime.now(UTC)
FEW = Limits(organisations=2, users=6, pipelines=12, events_per_day=1000, nodes=2)
ADMIN = Principal(organisation_id=OrganisationId("org_1"), role=Role.ADMIN, name="ada@example.org", operates=True)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def allowance(plane: ControlPlane, clock: Clock) -> Allowance:
    made = Allowance(plane, RING, clock)
    made.load()
    return made


@pytest.fixture
def licenses(plane: ControlPlane, allowance: Allowance, clock: Clock) -> Licenses:
    return Licenses(plane, allowance, clock)


def organisation(tx: Session, number: int) -> None:
    tx.add(OrganisationRow(id=f"org_{number}", name=f"Works {number}", created_at=NOW))


def user(tx: Session, number: int) -> None:
    address = f"u{number}@example.org"
    row = UserRow(id=f"user_{number}", organisation_id="org_1", email=address, email_key=address, role="viewer")
    row.password_hash, row.created_at = "x", NOW
    tx.add(row)


def pipeline(tx: Session, number: int) -> None:
    tx.add(
        PipelineRow(
            id=f"pl_{number}", organisation_id="org_1", live_name=f"p{number}", state="running", version=1, secrets=[],
            created_at=NOW, updated_at=NOW,
        )
    )  # fmt: skip


def node(tx: Session, number: int) -> None:
    card = Card(
        id=NodeId(f"node_{number}"), life="x", name="x", role="all", address="http://x:1", version="1", offers=(),
        every_secs=3.0,
    )  # fmt: skip
    Nodes(None, lambda: NOW)._enter(tx, card)  # type: ignore[arg-type] # the plane is for transactions of its own


MAKE: dict[Thing, Callable[[Session, int], None]] = {
    Thing.ORGANISATIONS: organisation, Thing.USERS: user, Thing.PIPELINES: pipeline, Thing.NODES: node,
}  # fmt: skip


def fill(plane: ControlPlane, thing: Thing, numbers: range) -> None:
    def work(tx: Session) -> None:
        if thing is not Thing.ORGANISATIONS and tx.get(OrganisationRow, "org_1") is None:
            organisation(tx, 1)
            tx.flush()
        for number in numbers:
            MAKE[thing](tx, number)

    plane.write_now(work)


def refused(plane: ControlPlane, allowance: Allowance, thing: Thing) -> str | None:
    try:
        plane.read_now(lambda tx: allowance.check(tx, thing))
    except Unlicensed as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("thing", "most", "paid"),
    [(Thing.ORGANISATIONS, 1, 2), (Thing.USERS, 5, 6), (Thing.PIPELINES, 10, 12), (Thing.NODES, 1, 2)],
)
async def test_each_limit_below_at_and_over_it_and_after_a_restart(
    plane: ControlPlane,
    allowance: Allowance,
    licenses: Licenses,
    clock: Clock,
    thing: Thing,
    most: int,
    paid: int,
) -> None:
    fill(plane, thing, range(1, most))
    assert refused(plane, allowance, thing) is None
    fill(plane, thing, range(most, most + 1))
    told = refused(plane, allowance, thing)
    assert told is not None
    assert f"Community allows {most} {thing.value[:-1] if most == 1 else thing.value}" in told
    assert "license install" in told
    assert allowance.refused[thing] == 1
    await licenses.install(ADMIN, issued(limits=FEW))
    assert refused(plane, allowance, thing) is None
    fill(plane, thing, range(most + 1, paid + 3))  # as if a larger licence had been there: it runs on
    again = Allowance(plane, RING, clock)
    again.load()
    for one in (allowance, again):
        assert (refused(plane, one, thing) or "").startswith(f"the licence allows {paid} {thing.value}, and there are")
    shown = {limit.thing: limit for limit in (await licenses.show(ADMIN)).limits}
    assert (shown[thing].limit, shown[thing].used) == (paid, paid + 2)


async def test_the_ladder_is_the_same_before_and_after_a_restart(
    plane: ControlPlane, allowance: Allowance, licenses: Licenses, clock: Clock
) -> None:
    assert allowance.maintained_to() is None
    await licenses.install(ADMIN, issued(days=40, limits=FEW, maintenance_to=date(2026, 5, 1)))
    assert allowance.maintained_to() == date(2026, 5, 1)
    fill(plane, Thing.PIPELINES, range(1, 12))
    for days, standing, may in ((0, "valid", True), (10, "ending", True), (41, "grace", True), (55, "lapsed", False)):
        clock.now = NOW + timedelta(days=days)
        again = Allowance(plane, RING, clock)
        again.load()
        for one in (allowance, again):
            assert one.now().outlook.standing == Standing(standing)
            assert (refused(plane, one, Thing.PIPELINES) is None) is may
    shown = await licenses.show(ADMIN)
    assert [warning.code for warning in shown.warnings] == ["lapsed", "over"]
    assert {deed.name for deed in shown.deeds if not deed.allowed} == {
        "new things above Community, within the licence", "edit white label", "edit enterprise sign-in",
    }  # fmt: skip


async def test_a_clock_that_is_set_back_warns_and_locks_nothing(
    plane: ControlPlane, allowance: Allowance, licenses: Licenses, clock: Clock
) -> None:
    await licenses.install(ADMIN, issued(limits=FEW))
    before = allowance.now().entitlements
    clock.now = NOW - timedelta(days=3650)
    assert allowance.now().entitlements == before
    assert allowance.clock_set_back()
    assert [warning.code for warning in (await licenses.show(ADMIN)).warnings] == ["clock"]
    await licenses.install(ADMIN, issued(limits=FEW, valid_from=clock.now.date()))  # it was right: the mark begins anew
    assert not allowance.clock_set_back()


async def test_more_events_than_are_allowed_keep_only_pipelines_above_community_from_being_made(
    plane: ControlPlane, allowance: Allowance, licenses: Licenses, clock: Clock
) -> None:
    await licenses.install(ADMIN, issued(limits=FEW))
    received = {PipelineId("pl_1"): 500}
    owners = {PipelineId("pl_1"): OrganisationId("org_1")}
    watch = LicenseWatch(plane, allowance, lambda: received, lambda: owners, clock)
    received[PipelineId("pl_1")] = 3000
    await watch.look()
    assert allowance.used[Thing.EVENTS_PER_DAY] == 2500  # what was there before it looked is not counted
    assert plane.read_now(lambda tx: store.events_today(tx, NOW)) == {"org_1": 2500}
    received.clear()
    received[PipelineId("pl_1")] = 2900  # events were erased: nothing is counted twice or taken back
    await watch.look()
    assert allowance.used[Thing.EVENTS_PER_DAY] == 2500
    assert refused(plane, allowance, Thing.PIPELINES) is None
    fill(plane, Thing.PIPELINES, range(1, 11))
    told = "the licence allows 1,000 events a day, and 2,500 were received: all of them were taken"
    assert (refused(plane, allowance, Thing.PIPELINES) or "").startswith(told)
    assert refused(plane, allowance, Thing.USERS) is None
    banner = licenses.banner(ADMIN)
    assert banner is not None
    assert banner.message.startswith("2,500 events a day were received, and 1,000 are allowed: all of them were taken")
    clock.now = NOW + timedelta(days=2)
    assert refused(plane, allowance, Thing.PIPELINES) is None


def test_a_node_that_took_part_before_always_may(plane: ControlPlane, allowance: Allowance) -> None:
    fill(plane, Thing.NODES, range(1, 3))
    plane.read_now(lambda tx: allowance.admit(tx, NodeId("node_2")))
    with pytest.raises(Unlicensed, match="Community allows 1 node, and there are 2: those that run, run on"):
        plane.read_now(lambda tx: allowance.admit(tx, NodeId("node_3")))


async def test_what_is_installed_is_proved_again_by_whoever_reads_it(
    plane: ControlPlane, allowance: Allowance, licenses: Licenses
) -> None:
    await licenses.install(ADMIN, issued(limits=FEW))
    another_ring = Allowance(plane, KeyRing([]))
    another_ring.load()
    assert another_ring.now().outlook.standing is Standing.COMMUNITY
    assert "which this version does not know" in str(another_ring.held.trouble)
    moved = store.Installation(code="0000-0000-0000-0000", license=issued(installation="7KQ2-M8XD-0T3W-E9HP"))
    allowance.learn(moved)  # somebody else's, written into the database
    assert allowance.now().outlook.standing is Standing.COMMUNITY
    assert "it is for installation 7KQ2" in str(allowance.held.trouble)


async def test_one_that_is_taken_back_counts_no_more_and_an_older_list_brings_it_not_back(
    allowance: Allowance, licenses: Licenses
) -> None:
    await licenses.install(ADMIN, issued())
    tried = await licenses.preview(ADMIN, listed(4, "lic_tests"))
    assert (tried.before.id, tried.after.id, tried.after.warnings[0].code) == ("lic_tests", None, "not_valid")
    assert (await licenses.preview(ADMIN, listed(4, "lic_other"))).changes == []
    assert (await licenses.show(ADMIN)).id == "lic_tests"  # trying changes nothing
    shown = await licenses.revoke(ADMIN, listed(4, "lic_tests"))
    assert (shown.standing, shown.revocations) == ("community", 4)
    assert [warning.code for warning in shown.warnings] == ["not_valid"]
    with pytest.raises(Refused, match="list 4 is in force"):
        await licenses.revoke(ADMIN, listed(3))
    with pytest.raises(Refused, match="was taken back"):
        await licenses.install(ADMIN, issued())
    assert (await licenses.install(ADMIN, issued(id="lic_next"))).id == "lic_next"


@pytest.mark.usefixtures("all_is_logged")
async def test_a_node_tells_once_a_day_and_marks_the_time(
    plane: ControlPlane, allowance: Allowance, licenses: Licenses, clock: Clock
) -> None:
    clock.now = NOW.replace(hour=0)
    await licenses.install(ADMIN, issued(days=6))
    watch = LicenseWatch(plane, allowance, dict, dict, clock)
    with structlog.testing.capture_logs() as logged:
        for hours in (0, 2, 23, 26):
            clock.now = NOW.replace(hour=0) + timedelta(hours=hours)
            await watch.look()
    assert [line["event"] for line in logged if line["log_level"] == "warning"] == ["license.ending"] * 2
    assert allowance.held.installation.seen_at == NOW.replace(hour=0) + timedelta(hours=26)
