"""Partitions of events: given once to each node, remembered in its data directory, never given twice."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from appliance.cluster import partition_here
from appliance.components.partitions import Holder, Received
from appliance.domain.ids import NodeId, PipelineId
from appliance.domain.node import Card
from appliance.errors import FatalError
from appliance.storage.control import nodes
from appliance.storage.control.partitions import Book, Directory
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import PartitionRow

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANNA, BERT = NodeId("node_anna"), NodeId("node_bert")
PIPE = PipelineId("pl_boiler")
FIRST_OF_1 = 17_592_186_044_417  # 2^44 + 1


def here(plane: ControlPlane, node_id: NodeId, folder: Path) -> int:
    folder.mkdir(exist_ok=True)
    return partition_here(plane, node_id, folder, shared=True)


def card(node_id: NodeId) -> Card:
    return Card(
        id=node_id, life="1", name=node_id[5:], role="all", address=f"http://{node_id[5:]}:80", version="1",
        offers=("bronze",), every_secs=3.0,
    )  # fmt: skip


def test_each_node_is_given_the_next_one_once_and_keeps_it(plane: ControlPlane, tmp_path: Path) -> None:
    assert [here(plane, one, tmp_path / one) for one in (ANNA, BERT, ANNA)] == [0, 1, 0]
    assert (tmp_path / BERT / "node.partition").read_text() == "1\n"


def test_none_is_given_twice_also_after_a_node_is_forgotten(plane: ControlPlane, tmp_path: Path) -> None:
    clock = lambda: NOON  # noqa: E731
    here(plane, ANNA, tmp_path / "a")
    here(plane, BERT, tmp_path / "b")
    nodes.Nodes(plane, clock).enter(card(BERT))
    nodes.Nodes(plane, clock).leave(card(BERT))
    plane.write_now(lambda tx: nodes.forget(tx, BERT, lambda: NOON + timedelta(days=1)))
    assert here(plane, NodeId("node_carl"), tmp_path / "c") == 2
    assert here(plane, BERT, tmp_path / "b") == 1


def test_a_data_directory_of_another_node_is_refused_with_the_way_out(plane: ControlPlane, tmp_path: Path) -> None:
    here(plane, ANNA, tmp_path / "a")
    with pytest.raises(FatalError, match=r"holds partition 0 .* is node node_anna's") as caught:
        here(plane, BERT, tmp_path / "a")
    assert "remove the file 'node.partition'" in caught.value.hint


def test_a_file_that_says_otherwise_than_the_database_is_refused(plane: ControlPlane, tmp_path: Path) -> None:
    here(plane, ANNA, tmp_path / "a")
    (tmp_path / "a" / "node.partition").write_text("7\n")
    with pytest.raises(FatalError, match=r"holds partition 7 .* has given partition 0") as caught:
        here(plane, ANNA, tmp_path / "a")
    assert "write 0 into the file" in caught.value.hint
    (tmp_path / "a" / "node.partition").write_text("many")
    with pytest.raises(FatalError, match="does not hold one"):
        here(plane, ANNA, tmp_path / "a")


def test_a_database_put_back_from_before_a_node_gives_it_what_it_remembers(plane: ControlPlane, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "node.partition").write_text("5\n")
    assert here(plane, BERT, tmp_path / "b") == 5
    assert here(plane, ANNA, tmp_path / "a") == 6


def test_one_node_among_several_does_not_go_on_alone(plane: ControlPlane, tmp_path: Path) -> None:
    here(plane, ANNA, tmp_path / "a")
    here(plane, BERT, tmp_path / "b")
    with pytest.raises(FatalError, match=r"holds partition 1 of the events of several nodes"):
        partition_here(plane, BERT, tmp_path / "b", shared=False)
    assert partition_here(plane, ANNA, tmp_path / "a", shared=False) == 0


def test_a_lone_control_plane_that_came_without_the_nodes_id_keeps_its_events(
    plane: ControlPlane, tmp_path: Path
) -> None:
    for name, node_id in (("a", ANNA), ("restored", BERT), ("restored", BERT)):
        (tmp_path / name).mkdir(exist_ok=True)
        assert partition_here(plane, node_id, tmp_path / name, shared=False) == 0


def test_a_node_among_several_that_lost_its_database_does_not_begin_another(
    plane: ControlPlane, tmp_path: Path
) -> None:
    (tmp_path / "node.partition").write_text("1\n")
    with pytest.raises(FatalError, match="holds partition 1 of the events of several nodes"):
        partition_here(plane, ANNA, tmp_path, shared=False)


def test_there_are_256_of_them(plane: ControlPlane, tmp_path: Path) -> None:
    plane.write_now(lambda tx: tx.add(PartitionRow(number=254, node_id=ANNA, given_at=NOON)))
    assert here(plane, BERT, tmp_path / "b") == 255
    with pytest.raises(FatalError, match="for 256 nodes"):
        here(plane, NodeId("node_carl"), tmp_path / "c")


def test_who_has_what_is_known_a_second_later_also_of_a_node_that_is_down(plane: ControlPlane) -> None:
    now = [0.0]
    directory = Directory(plane, lambda: now[0])
    assert (directory.holder(1), directory.holding(PIPE)) == (None, [])
    plane.write_now(lambda tx: tx.execute(insert(PartitionRow).values(number=1, node_id=BERT, given_at=NOON)))
    nodes.Nodes(plane).enter(card(BERT))
    nodes.Nodes(plane).leave(card(BERT))
    book = Book(plane)
    book.publish(0, [Received(PIPE, 0, 1, 0)], [])
    book.publish(1, [Received(PIPE, 1, FIRST_OF_1, FIRST_OF_1 + 6)], [])
    assert directory.holder(1) is None  # what was asked counts for a second
    now[0] = 1.0
    assert directory.holder(1) == Holder(BERT, "bert", "http://bert:80", 1)
    assert directory.holding(PIPE) == [1]  # nobody has partition 0 any more
    assert (directory.given(), directory.held()) == (1, [1])
    newer = Received(PIPE, 1, FIRST_OF_1 + 2, FIRST_OF_1 + 8)
    book.publish(1, [newer], [])
    assert book.published() == [Received(PIPE, 0, 1, 0), newer]
    book.publish(0, [], [PIPE])
    assert book.published() == [newer]
