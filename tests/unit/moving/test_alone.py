"""What cannot be moved out of a database is told before anything is copied, with the way out."""

from pathlib import Path

import pytest

from appliance.cluster import partition_here
from appliance.domain.ids import NodeId
from appliance.domain.node import Card
from appliance.errors import ConfigError
from appliance.moving.alone import check_alone
from appliance.storage.control import identity, nodes
from appliance.storage.control.plane import ControlPlane

HERE, OTHER = NodeId("node_" + "0" * 26), NodeId("node_" + "1" * 26)


def card(node_id: NodeId, name: str, role: str) -> Card:
    return Card(
        id=node_id, life=name, name=name, role=role, address=f"http://{name}:80", version="1", offers=(), every_secs=3.0
    )


@pytest.fixture
def plane(tmp_path: Path) -> ControlPlane:
    plane = ControlPlane.open(tmp_path / "control.sqlite3")
    identity.become(tmp_path, HERE)
    partition_here(plane, HERE, tmp_path, shared=True)
    nodes.Nodes(plane).enter(card(HERE, "anna", "all"))
    return plane


def check(plane: ControlPlane, folder: Path) -> list[str]:
    try:
        plane.read_now(lambda tx: check_alone(tx, folder))
    except ConfigError as error:
        return [f"{one.message} | {one.hint}" for one in error.problems]
    return []


def test_who_lives_there_alone_may_go_and_a_web_node_only_has_to_stop(plane: ControlPlane, tmp_path: Path) -> None:
    assert check(plane, tmp_path) == []
    web = card(OTHER, "bert", "web")
    nodes.Nodes(plane).enter(web)
    assert check(plane, tmp_path) == ["node bert (web) uses this database now | stop it first"]
    nodes.Nodes(plane).leave(web)
    assert check(plane, tmp_path) == []


def test_a_node_with_events_of_its_own_keeps_everybody_there(plane: ControlPlane, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    partition_here(plane, OTHER, tmp_path / "b", shared=True)
    (told,) = check(plane, tmp_path)
    assert told.startswith(f"a forgotten node ({OTHER}) was given partition 1 of events, and a data directory holds")
    assert "keep the database, which one node can use alone as well" in told
    identity.become(tmp_path / "b", OTHER)
    assert "node anna (all) uses this database now" in check(plane, tmp_path / "b")[-1]
