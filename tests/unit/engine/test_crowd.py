import pytest

from appliance.engine.crowd import Crowd


@pytest.mark.parametrize(
    ("busy", "events", "longest", "rest", "hurry"),
    [
        (0, 100_000, 0.25, 0.02, 2.0),
        (1, 100_000, 0.25, 0.02, 2.0),
        (4, 25_000, 0.25, 0.08, 2.0),
        (10, 10_000, 0.625, 0.2, 2.75),
        (100, 5_000, 2.0, 2.0, 5.5),
    ],
)
def test_the_more_are_busy_the_less_each_takes_and_the_longer_it_rests(
    busy: int, events: int, longest: float, rest: float, hurry: float
) -> None:
    crowd = Crowd()
    crowd.busy = busy
    assert (crowd.most_events, crowd.longest_rest_secs, crowd.hurry_after_secs) == (events, longest, hurry)
    assert crowd.rest_secs(0.01) == pytest.approx(rest)


def test_together_they_take_about_as_much_as_one_alone() -> None:
    """Batches of 10 ms: one alone works a third of the time; a hundred together half of one thread's."""
    crowd = Crowd()
    shares = {}
    for busy in (1, 10, 100):
        crowd.busy = busy
        shares[busy] = busy * 0.01 / (0.01 + crowd.rest_secs(0.01))
    assert shares == {1: pytest.approx(1 / 3), 10: pytest.approx(10 / 21), 100: pytest.approx(100 / 201)}


def test_who_has_nothing_to_refine_does_not_count() -> None:
    crowd = Crowd()
    with crowd.joined():
        with crowd.joined():
            assert crowd.busy == 2
        assert crowd.busy == 1
    assert crowd.busy == 0
