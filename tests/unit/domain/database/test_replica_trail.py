"""How old a standby's answers may be, told from where the primary's log was when."""

from appliance.domain.database.replicas import Trail


def trail(*steps: tuple[float, int]) -> Trail:
    made = Trail()
    for at, position in steps:
        made.note(at, position)
    return made


def test_a_standby_has_what_there_was_at_the_last_place_it_has_replayed() -> None:
    made = trail((1.0, 100), (2.0, 200), (3.0, 300))
    assert made.reached(100) == 1.0
    assert made.reached(299) == 2.0
    assert made.reached(300) == 3.0
    assert made.reached(9999) == 3.0


def test_of_a_standby_before_the_first_place_nothing_is_known() -> None:
    assert trail().reached(100) is None
    assert trail((1.0, 100), (2.0, 200)).reached(99) is None


def test_a_primary_that_writes_nothing_lets_its_standby_be_as_new_as_it_is_itself() -> None:
    assert trail((1.0, 100), (500.0, 100), (1000.0, 100)).reached(100) == 1000.0
    assert trail((1.0, 100), (500.0, 101), (1000.0, 101)).reached(100) == 1.0


def test_another_primary_that_is_not_as_far_begins_a_new_trail() -> None:
    made = trail((1.0, 100), (2.0, 200), (3.0, 150))
    assert made.reached(149) is None
    assert made.reached(150) == 3.0


def test_what_a_standby_stands_at_for_very_long_is_forgotten_at_last() -> None:
    made = trail(*((float(second), second) for second in range(10_000)))
    assert made.reached(1_000) is None
    assert made.reached(9_998) == 9_998.0
