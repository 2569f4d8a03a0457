"""Which backups are kept."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.backup import Backup, Kind
from appliance.domain.backup_keeping import Keeping, to_remove

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def backup(at: datetime, node: str = "node_a") -> Backup:
    return Backup(
        format=1, id=f"{at:%Y%m%dT%H%M%SZ}-000000", kind=Kind.FULL, at=at, took_secs=1.0, version="1", schema="0005",
        node=node, host="here", key="k", files=0, bytes=0, new_bytes=0, pipelines=(), rows=(), catalog=(),
    )  # fmt: skip


def kept(backups: list[Backup], keeping: Keeping) -> list[str]:
    gone = {one.id for one in to_remove(backups, keeping)}
    return [one.id for one in backups if one.id not in gone]


def test_the_newest_and_then_one_a_day_a_week_and_a_month_are_kept() -> None:
    hourly = [backup(NOON - timedelta(hours=age)) for age in range(24 * 70)]
    left = kept(hourly, Keeping(last=2, daily=3, weekly=2, monthly=3))
    assert left == [
        "20260301T120000Z-000000", "20260301T110000Z-000000",  # the two newest; the first is that of its day and week
        "20260228T230000Z-000000", "20260227T230000Z-000000",  # the newest of the two days before; 28: of its month too
        "20260222T230000Z-000000",  # Sunday: the newest of the week before (1 March is the Sunday of its own)
        "20260131T230000Z-000000",  # of the month before February
    ]  # fmt: skip


def test_each_node_has_its_own() -> None:
    pair = [backup(NOON, "node_a"), backup(NOON - timedelta(days=400), "node_b")]
    assert to_remove(pair, Keeping(last=1, daily=0, weekly=0, monthly=0)) == []


@given(st.lists(st.integers(0, 500), unique=True, min_size=1), st.integers(1, 5), st.integers(0, 5), st.integers(0, 3))
def test_pruning_twice_changes_nothing_and_the_newest_stays(
    ages: list[int], last: int, daily: int, weekly: int
) -> None:
    backups = [backup(NOON - timedelta(hours=7 * age)) for age in ages]
    keeping = Keeping(last=last, daily=daily, weekly=weekly, monthly=0)
    left = [one for one in backups if one.id in set(kept(backups, keeping))]
    assert to_remove(left, keeping) == []
    assert max(backups, key=lambda one: one.at) in left
    assert len(left) <= last + daily + weekly
