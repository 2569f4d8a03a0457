"""Which backup is due, and when somebody is to be told that none has succeeded."""

from datetime import UTC, datetime, timedelta

from appliance.domain.backup import Kind
from appliance.domain.backup_plan import BackupPlan, BackupRecord

PLAN = BackupPlan(incremental="7 * * * *", full="30 2 * * *", timezone="Europe/Zurich")  # 02:30 there is 01:30 UTC


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC)


def test_a_full_one_at_night_and_the_others_each_hour() -> None:
    record = BackupRecord(begun_at=at(1, 12))
    assert PLAN.due(record, at(1, 12, 6)) is None
    assert PLAN.due(record, at(1, 12, 7)) == (Kind.INCREMENTAL, at(1, 12, 7))
    record = BackupRecord(begun_at=at(1, 12), asked_at=at(2, 1, 7), last_at=at(2, 1, 8))
    assert PLAN.due(record, at(2, 1, 29)) is None
    assert PLAN.due(record, at(2, 1, 31)) == (Kind.FULL, at(2, 1, 30))


def test_what_was_missed_is_made_up_for_once_and_what_failed_is_not_asked_for_again_and_again() -> None:
    away = BackupRecord(begun_at=at(1, 0), last_at=at(1, 0), last_full_at=at(1, 0))
    kind, slot = PLAN.due(away, at(5, 12)) or (None, None)
    assert (kind, slot) == (Kind.FULL, at(1, 1, 30))
    asked = BackupRecord(begun_at=at(1, 0), asked_full_at=at(5, 12), asked_at=at(5, 12))
    assert PLAN.due(asked, at(5, 12, 6)) is None
    assert PLAN.next_at(at(5, 12)) == at(5, 12, 7)


def test_never_is_never_due_and_never_late() -> None:
    never = BackupPlan(incremental=None, full=None)
    record = BackupRecord(begun_at=at(1, 0))
    assert (never.due(record, at(30, 0)), never.next_at(at(1, 0))) == (None, None)
    assert record.overdue(never, at(30, 0)) is None


def test_one_is_late_after_twice_the_longest_pause() -> None:
    daily = BackupPlan(incremental=None, full="0 3 * * *")
    record = BackupRecord(begun_at=at(1, 0), last_at=at(1, 3))
    assert record.overdue(daily, at(3, 3)) is None
    assert record.overdue(daily, at(3, 4)) == timedelta(hours=49)


def test_mistakes_are_told_with_their_field() -> None:
    wrong = BackupPlan(incremental="now", full="0 0 31 2 *", timezone="Mars/Olympus")
    assert [name for name, _ in wrong.problems()] == ["incremental", "full", "timezone"]
    assert BackupPlan(incremental=None, full=None).problems() == []
