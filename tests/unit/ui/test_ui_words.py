"""How screens say what services tell."""

import pytest

from appliance.domain.quantity import counted
from ui.toast import sentence
from ui.widgets.figures import short, unheard


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("there is no pipeline 'nope'", "There is no pipeline 'nope'"),
        ("node 'vm' does not answer", "Node 'vm' does not answer"),
        ("'one' is no number", "'one' is no number"),
        ("temp_f must be a number", "temp_f must be a number"),
        ("", ""),
    ],
)
def test_an_error_begins_with_a_capital_unless_it_begins_with_a_name(told: str, said: str) -> None:
    assert sentence(told) == said


def test_what_came_before_the_start_was_not_never() -> None:
    assert [unheard(received) for received in (0, 5)] == ["never", "before the last start"]


def test_one_is_not_many() -> None:
    assert [counted(count, "event") for count in (0, 1, 1200)] == ["0 events", "1 event", "1,200 events"]


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"), (0.004, "0.004"), (0.5, "0.5"), (1.234, "1.23"), (10.04, "10"), (105.1, "105"), (999.6, "1,000"),
        (7668.3, "7,668"), (9999, "9,999"), (12_345.6, "12.3k"), (999_600, "1,000k"), (2_500_000, "2.5M"),
    ],
)  # fmt: skip
def test_figures_are_short_and_never_in_exponents(number: float, shown: str) -> None:
    assert short(number) == shown
