"""Incidents open when a condition lasts, and close when it has been gone for a while."""

from datetime import UTC, datetime, timedelta

from appliance.domain.incident import Board, Condition, Severity, acknowledged, after

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def condition(key: str = "disk", *, hold_secs: float = 0, message: str = "it fills up") -> Condition:
    return Condition(
        key=key, severity=Severity.P2, title="The disk fills up", message=message, remedy="make room",
        page="runbook#disk", hold=timedelta(seconds=hold_secs),
    )  # fmt: skip


def at(secs: float) -> datetime:
    return NOON + timedelta(seconds=secs)


def test_one_that_need_not_last_opens_at_once_and_only_once() -> None:
    board = after(Board(), [condition()], NOON)
    board = after(board, [condition(message="it is nearly full")], at(10))
    (incident,) = board.incidents
    assert incident.opened_at == NOON
    assert incident.condition.message == "it is nearly full"


def test_one_that_has_to_last_opens_then_and_not_before() -> None:
    board = after(Board(), [condition(hold_secs=20)], NOON)
    assert after(board, [condition(hold_secs=20)], at(19)).incidents == ()
    (incident,) = after(board, [condition(hold_secs=20)], at(20)).incidents
    assert incident.opened_at == NOON  # since when it was so, not since when it was believed


def test_one_that_went_away_before_its_time_begins_anew() -> None:
    board = after(Board(), [condition(hold_secs=20)], NOON)
    board = after(board, [], at(10))
    assert after(board, [condition(hold_secs=20)], at(25)).incidents == ()


def test_one_that_comes_and_goes_stays_one_incident() -> None:
    board = after(Board(), [condition()], NOON)
    board = after(board, [], at(10))
    board = after(board, [condition()], at(100))
    board = after(board, [], at(110))
    (incident,) = after(board, [], at(229)).incidents  # 119 s after it was last seen to be gone
    assert incident.open
    (incident,) = after(board, [], at(230)).incidents
    assert incident.closed_at == at(110)


def test_the_same_condition_later_is_another_incident() -> None:
    board = after(Board(), [condition()], NOON)
    board = after(after(board, [], at(10)), [], at(130))
    board = after(board, [condition()], at(200))
    assert [one.open for one in board.incidents] == [False, True]
    assert len({one.id for one in board.incidents}) == 2


def test_what_is_over_goes_after_thirty_days() -> None:
    board = after(Board(), [condition()], NOON)
    board = after(after(board, [], at(10)), [], at(130))
    assert len(after(board, [], at(10 + 30 * 86_400 - 1)).incidents) == 1
    assert after(board, [], at(10 + 30 * 86_400)).incidents == ()


def test_an_acknowledgement_names_who_and_outlives_a_look() -> None:
    board = after(Board(), [condition()], NOON)
    board = acknowledged(board, board.incidents[0].id, "ada@example.org", at(5))
    (incident,) = after(board, [condition()], at(10)).incidents
    assert (incident.acknowledged_by, incident.acknowledged_at) == ("ada@example.org", at(5))
