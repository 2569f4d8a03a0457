"""Rows of several nodes exchanged in one step: nobody refines into them what he did not know was in use."""

from collections.abc import Iterator

import msgspec
import psycopg
import pytest

from appliance.components.generations import Eras, Stretch
from appliance.components.silver import Aggregation, Measure, Progress, Table
from appliance.domain.ledger import Outcome
from appliance.domain.partition import Partition, base_of
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.errors import Conflict, TransientError
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from tests.silver_batches import KEYED, PLAIN, amendment, batch, dead, number, row, rows_in

TWO = base_of(Partition(2))
ID = PLAIN.pipeline_id
COUNTED = msgspec.structs.replace(
    PLAIN, rollups=(Rollup(name="per_hour", bucket="1h", measures=[RollupMeasure("sum", "n")]),)
)
PER_HOUR = Aggregation(measures=(Measure("sum", "n", "s"),), bucket_us=3_600_000_000)


@pytest.fixture
def nodes(database_url: str) -> Iterator[tuple[PostgresSilver, PostgresSilver]]:
    """Two nodes; the second has partition 2."""
    connections = Connections(database_url, size=4)
    stores = [PostgresSilver(connections, "dash_org_x", partition=Partition(of)) for of in (0, 2)]
    yield stores[0], stores[1]
    connections.close()


def of_era(table: Table, era: int) -> Table:
    return msgspec.structs.replace(table, era=era)


def received(here: PostgresSilver, there: PostgresSilver, table: Table = PLAIN) -> None:
    """Refine four events of each node by the first version."""
    here.commit(batch(table, 1, [row(device="here", n=n) for n in range(1, 5)]))
    there.commit(batch(table, TWO + 1, [row(device="there", n=n) for n in range(1, 5)]))


def test_a_shadow_has_a_place_in_each_partition_and_takes_over_what_is_gone(
    nodes: tuple[PostgresSilver, PostgresSilver],
) -> None:
    here, there = nodes
    received(here, there)
    there.letters.amend(amendment(PLAIN, {TWO + 2: row(device="mended", n=20)}))
    shadow = here.generations.begin(PLAIN, 3, elsewhere=(TWO + 4,))
    found = {one.number: one for one in here.generations.all(ID)}[number(shadow)]
    assert found.partitions == {0: Progress(2, Outcome(2)), 2: Progress(TWO + 3, Outcome(3))}
    assert (found.of(2), found.of(1).seq) == (found.partitions[2], base_of(Partition(1)))
    assert sorted(rows_in(here, shadow, "device", "n")) == [
        ("here", 1), ("here", 2), ("mended", 20), ("there", 1), ("there", 3)
    ]  # fmt: skip
    with pytest.raises(Conflict, match=f"reach up to event {TWO + 4} only"):
        here.generations.begin(PLAIN, 3, elsewhere=(TWO + 9,))


def test_what_a_node_did_not_know_to_be_in_use_it_does_not_write(
    nodes: tuple[PostgresSilver, PostgresSilver], database_url: str
) -> None:
    here, there = nodes
    received(here, there)
    shadow = here.generations.begin(PLAIN, 1, elsewhere=(TWO + 1,))
    here.commit(batch(shadow, 1, [row(device="new", n=n) for n in range(1, 5)], version=2))
    here.commit(batch(shadow, TWO + 1, [row(device="new", n=n) for n in range(1, 5)], version=2))
    there.commit(batch(of_era(PLAIN, 0), TWO + 5, [row(device="there", n=5)]))
    with pytest.raises(TransientError, match="refined further by now, in partition 2"):
        here.generations.swap(ID, number(shadow), Eras(0, 1), behind=False)
    here.generations.hold(ID, 60)
    for table in (PLAIN, of_era(PLAIN, 0)):
        with pytest.raises(TransientError, match="a replay catches up with them"):
            there.commit(batch(table, TWO + 6, [row(device="there", n=6)]))
    here.commit(batch(shadow, TWO + 5, [row(device="new", n=5)], version=2))
    with pytest.raises(TransientError, match="other rows were put in use meanwhile"):
        here.generations.swap(ID, number(shadow), Eras(7, 8), behind=False)
    assert here.generations.swap(ID, number(shadow), Eras(0, 1), behind=False) == 1
    assert {device for (device,) in rows_in(there, PLAIN, "device")} == {"new"}
    late = of_era(COUNTED, 0)  # declares a rollup that those in use have not
    there.prepare(late)
    with pytest.raises(TransientError, match="a replay has put other rows in use"):
        there.commit(batch(late, TWO + 6, [row(device="there", n=6)]))
    with pytest.raises(TransientError, match="a replay has put other rows in use"):
        there.letters.amend(amendment(late, {TWO + 5: row(device="there", n=0)}))
    assert _rollups(database_url) == 0
    assert there.commit(batch(of_era(PLAIN, 1), TWO + 6, [row(device="new", n=6)], version=2)).seq == TWO + 6
    assert {span.version for span in here.generations.spans(ID)} == {2}
    assert here.generations.swap(ID, 1, Eras(1, 2)) == number(shadow)  # back again, though it is behind
    assert there.progress(ID).seq == TWO + 5


def _rollups(database_url: str) -> int:
    with psycopg.connect(database_url) as database:
        told = "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relname LIKE 'gold_%'"
        return int(database.execute(told).fetchall()[0][0])


def test_holding_ends_by_itself(nodes: tuple[PostgresSilver, PostgresSilver]) -> None:
    here, there = nodes
    received(here, there)
    here.generations.hold(ID, 60)
    here.generations.hold(ID, 0)
    assert there.commit(batch(PLAIN, TWO + 5, [row(n=5)])).seq == TWO + 5


def test_stretches_of_two_nodes_are_exchanged_together_or_not_at_all(
    nodes: tuple[PostgresSilver, PostgresSilver], database_url: str
) -> None:
    here, there = nodes
    received(here, there, COUNTED)
    assert _rollups(database_url) > 0
    shadow = here.generations.begin(COUNTED, 2, carry=False, elsewhere=(TWO + 3,))
    here.commit(batch(shadow, 2, [row(device="new", n=100), dead()], version=2))
    elsewhere = (Stretch(TWO + 3, TWO + 4),)
    before = here.generations.checksum(COUNTED)
    with pytest.raises(Conflict, match="which both have"):
        here.generations.splice(COUNTED, number(shadow), 2, 3, elsewhere)
    assert here.generations.checksum(COUNTED) == before
    here.commit(batch(shadow, TWO + 3, [row(device="new", n=300), row(device="new", n=400)], version=2))
    assert here.generations.splice(COUNTED, number(shadow), 2, 3, elsewhere) == Progress(4, Outcome(3, dead=1))
    assert sorted(rows_in(there, COUNTED, "n")) == [(1,), (1,), (2,), (4,), (100,), (300,), (400,)]
    assert there.progress(ID) == Progress(TWO + 4, Outcome(4))
    counted = here.aggregate(COUNTED, PER_HOUR)
    assert (counted.schema.metadata or {})[b"source"] == b"gold:per_hour"
    assert counted.column("s").to_pylist() == [1 + 1 + 2 + 4 + 100 + 300 + 400]
    versions = [(span.first_seq, span.last_seq, span.version) for span in here.generations.spans(ID)]
    assert versions == [(1, 1, 1), (2, 3, 2), (4, 4, 1), (TWO + 1, TWO + 2, 1), (TWO + 3, TWO + 4, 2)]
    here.generations.splice(COUNTED, number(shadow), 2, 3, elsewhere)
    assert here.generations.checksum(COUNTED) == before


def test_keys_are_carried_over_from_each_partition(nodes: tuple[PostgresSilver, PostgresSilver]) -> None:
    here, there = nodes
    here.commit(batch(KEYED, 1, [row(_key="a", n=1), row(_key="b", n=2)]))
    there.commit(batch(KEYED, TWO + 1, [row(_key="a", n=3), row(_key="c", n=4)]))
    shadow = here.generations.begin(KEYED, 3, elsewhere=(TWO + 2,))
    assert sorted(rows_in(here, shadow, "n")) == [(2,), (3,)]
    here.commit(batch(shadow, TWO + 2, [row(_key="b", n=5)], version=2))
    assert sorted(rows_in(here, shadow, "n")) == [(3,), (5,)]
    found = {one.number: one for one in here.generations.all(KEYED.pipeline_id)}[number(shadow)]
    assert found.partitions == {0: Progress(2, Outcome(duplicate=2)), 2: Progress(TWO + 2, Outcome(2))}
