import asyncio

from appliance.life import end_tasks


async def test_tasks_end_and_those_that_will_not_are_named() -> None:
    released = asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    willing = asyncio.create_task(asyncio.sleep(60), name="willing")
    unwilling = asyncio.create_task(stubborn(), name="unwilling")
    await asyncio.sleep(0)
    assert await end_tasks(within_secs=0.05) == ["unwilling"]
    assert willing.cancelled()
    released.set()
    await unwilling
    assert await end_tasks() == []
