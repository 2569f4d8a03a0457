"""What two nodes know of one pipeline's events, in one control plane on PostgreSQL: kept side by side."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from appliance.domain.drift import LEARNING, Drift
from appliance.domain.drift_merging import merged
from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId
from appliance.domain.partition import Partition, base_of
from appliance.engine.drift import Drifts
from appliance.services.drift import save
from appliance.storage.control import drift as kept
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import OrganisationRow, PipelineRow

AT = datetime(2026, 11, 28, tzinfo=UTC)
BOILERS = PipelineId("pl_boilers")


@pytest.fixture
def plane(database_url: str) -> Iterator[ControlPlane]:
    plane = ControlPlane.open(database_url)
    plane.write_now(lambda tx: tx.add(OrganisationRow(id="org_1", name="Example", created_at=AT)))
    pipeline = PipelineRow(
        id=BOILERS, organisation_id="org_1", live_name="boilers", state="running", version=1, secrets=[],
        created_at=AT, updated_at=AT,
    )  # fmt: skip
    plane.write_now(lambda tx: tx.add(pipeline))
    yield plane
    plane.close()


def node(partition: int) -> Drifts:
    """Return the watchers of a node that knows what events look like."""
    drifts = Drifts()
    drifts.partition = partition
    drifts.restore(BOILERS, Drift(taught=LEARNING))
    return drifts


def see(drifts: Drifts, seq: int, event: bytes) -> None:
    number = base_of(Partition(drifts.partition or 0)) + seq
    drifts.offer(BOILERS, [Frame(number, 1, seq * 1_000_000, event)])


def found(tx: Session) -> dict[str, int]:
    """Return the findings of all nodes as one: how many events of each."""
    return {name: one.count for name, one in merged(list(kept.of(tx, BOILERS).values())).findings.items()}


def test_two_nodes_keep_what_they_see_beside_each_other(plane: ControlPlane) -> None:
    anna, bert = node(0), node(1)
    for seq in (1, 2, 3):
        see(anna, seq, b"1")
        see(bert, seq, b"1")
        for drifts in (anna, bert, anna):  # as often as they like, in any order
            save(plane, drifts)
    assert plane.read_now(found) == {"new_field:$": 6}
    assert sorted(plane.read_now(lambda tx: kept.of(tx, BOILERS))) == [0, 1]


def test_what_is_noted_at_one_node_counts_at_once_and_is_taken_over_by_the_other(plane: ControlPlane) -> None:
    anna, bert = node(0), node(1)
    see(anna, 1, b"1")
    for drifts in (anna, bert):
        drifts.of(BOILERS).changed = True
        save(plane, drifts)
    [finding] = plane.read_now(lambda tx: merged(list(kept.of(tx, BOILERS).values()))).findings.values()
    plane.write_now(lambda tx: kept.acknowledge(tx, BOILERS, [finding], None))  # at a node that watches nothing
    assert plane.read_now(found) == {}
    see(anna, 2, b"1")  # it has not heard of it yet
    for drifts in (anna, bert):
        save(plane, drifts)
        assert drifts.findings() == {BOILERS: 0}
        see(drifts, 3, b"1")
        save(plane, drifts)
    assert plane.read_now(found) == {}
    assert plane.read_now(lambda tx: kept.acknowledged(tx, 0)) == {}


def test_what_was_kept_before_there_were_partitions_is_the_first_nodes(plane: ControlPlane, database_url: str) -> None:
    def back(tx: Session) -> None:
        tx.execute(text("SET LOCAL search_path TO dash"))
        for later in (
            "DROP TABLE sign_in_identity, sign_in_provider",
            "ALTER TABLE session DROP COLUMN provider_id, DROP COLUMN id_token",
            "ALTER TABLE organisation DROP COLUMN operates",
            "DROP TABLE drift",
        ):
            tx.execute(text(later))
        tx.execute(
            text(
                "CREATE TABLE drift (pipeline_id varchar REFERENCES pipeline ON DELETE CASCADE, baseline json,"
                " findings json, updated_at timestamptz, CONSTRAINT pk_drift PRIMARY KEY (pipeline_id))"
            )
        )
        baseline, findings = '{"taught": 1000, "events": 1001}', '{"findings": {}, "absent": {}}'
        row = {"id": BOILERS, "baseline": baseline, "findings": findings}
        tx.execute(text("INSERT INTO drift VALUES (:id, :baseline, :findings, now())"), row)
        tx.execute(text("UPDATE alembic_version SET version_num = '0004'"))

    plane.write_now(back)
    again = ControlPlane.open(database_url)
    try:
        assert again.read_now(lambda tx: kept.of(tx, BOILERS)) == {0: Drift(taught=1000, events=1001)}
    finally:
        again.close()
