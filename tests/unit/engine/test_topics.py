import asyncio

from appliance.engine.topics import MAILBOX_PAYLOADS, Hub


async def test_a_payload_reaches_everybody_who_follows_its_topic_and_nobody_else() -> None:
    hub = Hub()
    async with hub.mailbox() as first, hub.mailbox() as second:
        first.follow("pipeline:a")
        second.follow("pipeline:a")
        second.follow("pipeline:b")
        hub.publish("pipeline:b", b"2")
        hub.publish("pipeline:a", b"1")
        assert await first.get() == b"1"
        assert [await second.get(), await second.get()] == [b"2", b"1"]


async def test_nobody_hears_a_topic_after_the_last_follower_has_left() -> None:
    hub = Hub()
    async with hub.mailbox() as mailbox:
        mailbox.follow("pipelines")
        assert hub.heard("pipelines")
        mailbox.leave("pipelines")
        assert not hub.heard("pipelines")
        mailbox.follow("pipelines")
    assert not hub.heard("pipelines")
    assert hub.listeners == {}


async def test_a_slow_listener_loses_the_oldest_payloads() -> None:
    hub = Hub()
    async with hub.mailbox() as mailbox:
        mailbox.follow("t")
        for number in range(MAILBOX_PAYLOADS + 2):
            hub.publish("t", str(number).encode())
        assert await mailbox.get() == b"2"


async def test_a_waiting_listener_wakes_up() -> None:
    hub = Hub()
    async with hub.subscribe("t") as payloads:
        waiting = asyncio.ensure_future(anext(payloads))
        await asyncio.sleep(0)
        hub.publish("t", b"x")
        assert await waiting == b"x"
