from datetime import UTC, datetime

import pytest

from appliance.components.source import Admission, InboundRequest, Page
from appliance.domain.ids import PipelineId
from appliance.engine.bucket import TokenBucket
from appliance.engine.receive import Door, Receiver
from appliance.errors import Conflict, NotFound, RateLimited, TransientError, Unauthenticated
from tests.fakes.bronze import MemoryBronzeLog

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
BOILERS = PipelineId("pl_boilers")


class Lines:
    """A push source that takes one event a line and knows one wrong signature."""

    def admit(self, request: InboundRequest) -> Admission:
        if request.headers.get("signature") == "wrong":
            raise Unauthenticated("the signature does not match")
        return Admission(request.body.split(b"\n"), request.headers.get("id"))


def request(body: bytes, **headers: str) -> InboundRequest:
    return InboundRequest(headers, body, "10.0.0.9", NOON)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver(MemoryBronzeLog(), lambda: NOON)


async def test_what_is_posted_is_durable_with_its_envelope(receiver: Receiver) -> None:
    counts: list[int] = []
    receiver.open(BOILERS, Door("webhook", Lines(), told=[counts.append]))
    answer = await receiver.post(BOILERS, request(b"1\n2\n3", id="a", **{"user-agent": "boiler/1", "cookie": "secret"}))
    assert (answer.first_seq, answer.last_seq, answer.duplicate) == (1, 3, False)
    assert counts == [3]
    stored = receiver._bronze.event(BOILERS, 2)
    assert stored.payload == b"2"
    assert stored.envelope.remote == "10.0.0.9"
    assert stored.envelope.headers == {"user-agent": "boiler/1"}


async def test_a_delivery_seen_before_has_no_second_effect(receiver: Receiver) -> None:
    counts: list[int] = []
    receiver.open(BOILERS, Door("webhook", Lines(), told=[counts.append]))
    await receiver.post(BOILERS, request(b"1\n2", id="a"))
    again = await receiver.post(BOILERS, request(b"1\n2", id="a"))
    assert (again.first_seq, again.last_seq, again.duplicate) == (1, 2, True)
    assert counts == [2]


async def test_nobody_may_post_to_what_is_not_there_or_is_polled(receiver: Receiver) -> None:
    with pytest.raises(NotFound):
        await receiver.post(BOILERS, request(b"1"))
    receiver.open(BOILERS, Door("http_poll", None))
    with pytest.raises(NotFound):
        await receiver.post(BOILERS, request(b"1"))


async def test_the_signature_is_judged_before_the_state_is_told(receiver: Receiver) -> None:
    receiver.open(BOILERS, Door("webhook", Lines(), open=False))
    with pytest.raises(Unauthenticated):
        await receiver.post(BOILERS, request(b"1", signature="wrong"))
    with pytest.raises(Conflict, match="paused"):
        await receiver.post(BOILERS, request(b"1"))


async def test_over_the_limit_nothing_is_written_and_the_wait_is_told(receiver: Receiver) -> None:
    receiver.open(BOILERS, Door("webhook", Lines(), TokenBucket(2, lambda: 0.0)))
    await receiver.post(BOILERS, request(b"1\n2"))
    with pytest.raises(RateLimited) as refused:
        await receiver.post(BOILERS, request(b"3"))
    assert refused.value.retry_after_secs == 0.5
    assert receiver._bronze.last_seq(BOILERS) == 2


async def test_a_draining_receiver_refuses_and_ends_once_all_is_answered(receiver: Receiver) -> None:
    receiver.open(BOILERS, Door("webhook", Lines()))
    await receiver.post(BOILERS, request(b"1"))
    await receiver.drain()
    with pytest.raises(TransientError, match="shutting down"):
        await receiver.post(BOILERS, request(b"2"))


async def test_a_page_without_events_moves_the_checkpoint(receiver: Receiver) -> None:
    receiver.open(BOILERS, Door("http_poll", None))
    answer = await receiver.pull(BOILERS, Page([], {"cursor": "x"}))
    assert answer.count == 0
    assert receiver._bronze.checkpoint(BOILERS) == {"cursor": "x"}


async def test_senders_of_a_pipeline_that_could_not_be_started_are_told_to_come_back(receiver: Receiver) -> None:
    receiver.refuse(BOILERS, "its secret cannot be read")
    assert receiver.out_of_order() == {BOILERS: "its secret cannot be read"}
    with pytest.raises(TransientError, match="could not be started") as refused:
        await receiver.post(BOILERS, request(b"1"))
    assert refused.value.retry_after_secs == 30
    receiver.open(BOILERS, Door("webhook", Lines()))
    assert receiver.out_of_order() == {}
    assert (await receiver.post(BOILERS, request(b"1"))).count == 1
