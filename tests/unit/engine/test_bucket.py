from appliance.engine.bucket import TokenBucket


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_of_one_second_is_let_in_and_the_next_event_waits_its_turn() -> None:
    seconds = Seconds()
    bucket = TokenBucket(8, seconds)
    assert bucket.take(8) == 0
    assert bucket.take(1) == 0.125  # one event at eight a second
    seconds.now += 0.125
    assert bucket.take(1) == 0


def test_a_request_larger_than_the_burst_is_slow_and_not_impossible() -> None:
    seconds = Seconds()
    bucket = TokenBucket(8, seconds)
    assert bucket.take(35) == 0
    assert bucket.take(1) == 3.5  # 27 in debt, one wanted, eight a second
    seconds.now += 3.5
    assert bucket.take(1) == 0


def test_a_refused_request_takes_nothing() -> None:
    seconds = Seconds()
    bucket = TokenBucket(2, seconds)
    assert bucket.take(1) == 0
    assert bucket.take(2) == 0.5
    assert bucket.take(1) == 0
