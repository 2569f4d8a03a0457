"""The licence where the appliance is put together: what ``doctor`` says of it, what a scrape, and who may join."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance.domain.ids import NodeId
from appliance.domain.node import Card
from appliance.errors import Unlicensed
from appliance.licensing import _numbers, examine, licensed
from appliance.settings import Settings, load
from appliance.storage.control import installation as store
from appliance.storage.control.installation import Installation
from appliance.storage.control.nodes import Nodes
from appliance.storage.control.plane import ControlPlane
from license.document import Limits
from tests.licensed import RING, issued, listed, today

ONE_NODE = Limits(organisations=1, users=5, pipelines=10, events_per_day=None, nodes=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({"server.data_dir": str(tmp_path)}, env={})


@pytest.fixture
def plane(settings: Settings) -> Iterator[ControlPlane]:
    made = ControlPlane.open(settings.server.data_dir / "control.sqlite3")
    yield made
    made.close()


def installed(plane: ControlPlane, document: str | None, revocations: str | None = None) -> None:
    held = Installation(code="7KQ2-M8XD-0T3W-E9HP", license=document, revocations=revocations)
    plane.write_now(lambda tx: store.keep(tx, held, datetime.now(UTC)))


def test_doctor_says_how_the_licence_stands(settings: Settings, plane: ControlPlane) -> None:
    assert list(examine(settings, RING)) == []  # nobody has opened it yet
    installed(plane, None)
    (found,) = examine(settings, RING)
    assert (found.state, found.message) == ("fine", "none is installed: Community, with all safety features")
    installed(plane, issued(days=100))
    (found,) = examine(settings, RING)
    last = today() + timedelta(days=100)
    assert (found.state, found.message) == ("fine", f"Enterprise, of Example Works, until {last} (100 days)")
    for document, revoked, told in ((issued(days=5), None, "5 days"), (issued(), listed(1, "lic_tests"), "taken back")):
        installed(plane, document, revoked)
        (found,) = examine(settings, RING)
        assert (found.state, told in found.message, bool(found.remedy)) == ("warning", True, True), found


def test_a_scrape_says_when_it_ends_to_the_second_and_whether_it_counts(plane: ControlPlane) -> None:
    installed(plane, issued(days=10))
    allowance = licensed(plane, RING)
    numbers = _numbers(allowance)
    midnight = datetime.combine(today() + timedelta(days=11), datetime.min.time(), UTC)  # the last day counts whole
    assert numbers.expires_in_secs is not None
    assert abs(numbers.expires_in_secs - (midnight - datetime.now(UTC)).total_seconds()) < 60
    assert (numbers.counts, numbers.clock_set_back) == (True, False)
    installed(plane, issued(days=10), listed(1, "lic_tests"))
    assert (_numbers(licensed(plane, RING)).counts, _numbers(licensed(plane, RING)).expires_in_secs) == (False, None)


def test_a_node_joins_by_a_licence_for_it_alone(plane: ControlPlane) -> None:
    installed(plane, issued(limits=ONE_NODE))
    here, other = NodeId("node_here"), NodeId("node_other")
    card = Card(
        id=here, life="l", name="vm", role="all", address="http://127.0.0.1:1", version="1", offers=(), every_secs=3.0
    )
    Nodes(plane).enter(card)
    licensed(plane, RING, joins=here)
    with pytest.raises(Unlicensed, match="allows 1 node, and there is 1"):
        licensed(plane, RING, joins=other)
    installed(plane, issued())
    licensed(plane, RING, joins=other)
