"""The ladder, day by day, and what it allows."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from license.document import Feature, Limits
from license.entitlements import COMMUNITY, DEEDS, Entitlements, Thing, entitled
from license.standing import Outlook, Standing, outlook
from tests.unit.license.making import LAST, license

DAYS = st.dates(date(1990, 1, 1), date(2090, 1, 1))


@pytest.mark.parametrize(
    ("today", "standing", "left", "step"),
    [
        (date(1970, 1, 1), "valid", 21183, None),  # a clock that was set back locks nothing
        (date(2027, 11, 30), "valid", 31, None),
        (date(2027, 12, 1), "ending", 30, 30),
        (date(2027, 12, 17), "ending", 14, 14),
        (date(2027, 12, 18), "ending", 13, 14),
        (date(2027, 12, 24), "ending", 7, 7),
        (date(2027, 12, 30), "ending", 1, 1),
        (date(2027, 12, 31), "ending", 0, 1),
        (date(2028, 1, 1), "grace", -1, None),
        (date(2028, 1, 14), "grace", -14, None),
        (date(2028, 1, 15), "lapsed", -15, None),
        (date(2099, 1, 1), "lapsed", -25934, None),
    ],
)
def test_the_ladder(today: date, standing: str, left: int, step: int | None) -> None:
    found = outlook(license(), today)
    assert (found.standing, found.days_left, found.step) == (standing, left, step)


@pytest.mark.parametrize("today", [date.min, date(2026, 6, 1), date(9999, 12, 1), date.max])
def test_a_licence_for_ever_and_clocks_at_both_ends_of_the_calendar(today: date) -> None:
    ever = outlook(license(valid_from=date.min, valid_to=date.max), today)
    assert ever.standing is (Standing.VALID if today.year < 9999 else Standing.ENDING)
    assert ever.days_left == (date.max - today).days
    first = outlook(license(valid_from=date.min, valid_to=date.min), today)
    assert first.standing is (Standing.ENDING if today == date.min else Standing.LAPSED)


def test_without_a_licence_every_day_is_the_same() -> None:
    assert outlook(None, LAST) == outlook(None, date(1970, 1, 1)) == Outlook(Standing.COMMUNITY)


@given(DAYS)
def test_the_next_step_is_the_first_day_on_which_it_is_otherwise(today: date) -> None:
    now = outlook(license(), today)
    if now.next_step is None:
        assert now.standing is Standing.LAPSED
        return
    assert now.next_step > today
    assert outlook(license(), now.next_step - timedelta(days=1)).standing is now.standing
    assert outlook(license(), now.next_step).standing is not now.standing


def test_who_has_a_licence_has_at_least_community() -> None:
    small = Limits(organisations=0, users=3, pipelines=20, events_per_day=1000, nodes=0)
    assert entitled(license(limits=small), Standing.VALID) == Entitlements(
        Limits(organisations=1, users=5, pipelines=20, events_per_day=1000, nodes=1),
        frozenset({"white_label"}),
        "the licence",
    )


@pytest.mark.parametrize("standing", list(Standing))
def test_a_lapsed_licence_is_community(standing: Standing) -> None:
    found = entitled(license(), standing)
    whole = standing in (Standing.VALID, Standing.ENDING, Standing.GRACE)
    assert found.allows(Feature.WHITE_LABEL) is whole
    assert found.limit(Thing.USERS) == (50 if whole else 5)
    assert (found == Entitlements(COMMUNITY)) is not whole


def test_new_things_are_refused_with_the_limit_named_and_old_ones_never_counted_out() -> None:
    community = entitled(None, Standing.COMMUNITY)
    assert community.refusal(Thing.PIPELINES, 9) is None
    assert community.refusal(Thing.PIPELINES, 10) == "Community allows 10 pipelines, and there are 10"
    assert community.refusal(Thing.NODES, 1) == "Community allows 1 node, and there is 1"
    paid = Entitlements(Limits(organisations=1, users=5, pipelines=10, events_per_day=1000, nodes=1), by="the licence")
    told = "the licence allows 1,000 events a day, and 2,500 were received"
    assert paid.refusal(Thing.EVENTS_PER_DAY, 2500) == told
    assert community.refusal(Thing.PIPELINES, 400, more=0) is None
    assert community.refusal(Thing.EVENTS_PER_DAY, 10**12) is None


def test_what_never_stops() -> None:
    never = {deed.name for deed in DEEDS if not deed.stops}
    for promise in ("receive", "read", "alerts", "exports", "backups", "sign in"):
        assert any(promise in name for name in never), promise
    assert all(deed.stops <= {Standing.COMMUNITY, Standing.LAPSED} for deed in DEEDS)
