"""Leases of a node that the database no longer answers: kept where it was alone, given up where it was not."""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import suppress

import pytest

from appliance.components.nodes import Lease, Sharer, Survey
from appliance.engine import leases as leases_module
from appliance.engine.leases import LeaseKeeper
from appliance.engine.workers import Workers
from appliance.errors import TransientError

NAMES = [f"poll:{number}" for number in range(4)]


class Store:
    """Grants everything to everybody while it ``answers``."""

    def __init__(self, lives: Collection[str]) -> None:
        self.answers = True
        self._sharers = tuple(Sharer(life=life, offers=frozenset({"poll"}), settled=True) for life in lives)
        self._granted: list[Lease] = []

    def _ask(self) -> None:
        if not self.answers:
            raise TransientError("the database does not answer")

    def renew(self, secs: float) -> Collection[Lease]:
        self._ask()
        return self._granted

    def survey(self) -> Survey:
        self._ask()
        return Survey(sharers=self._sharers, holders=dict.fromkeys(NAMES))

    def acquire(self, names: Collection[str], secs: float) -> Collection[Lease]:
        self._ask()
        self._granted = [Lease(name=name, epoch=1) for name in names]
        return self._granted

    def release(self, names: Collection[str]) -> None:
        self._ask()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers()
    yield workers
    workers.close()


@pytest.mark.parametrize(
    ("lives", "goes_on"), [(("me",), True), (("me", "another"), False)], ids=["alone", "the control: not alone"]
)
async def test_polling_goes_on_without_the_database_only_if_nobody_else_was_there(
    workers: Workers, lives: tuple[str, ...], goes_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, clock, working, stopped = Store(lives), Clock(), set[str](), asyncio.Event()

    async def changed(name: str, held: bool) -> None:
        if held:
            working.add(name)
        else:
            working.discard(name)
            stopped.set()

    keeper = LeaseKeeper(store, "me", workers, lambda: NAMES, changed)  # type: ignore[arg-type]
    keeper._holding._elapsed = clock
    await keeper._try_round()
    begun = set(working)
    assert len(begun) == 4 // len(lives)
    store.answers = False
    clock.now = 100.0
    await keeper._try_round()
    monkeypatch.setattr(leases_module, "ROUND_SECS", 0.01)
    watchdog = asyncio.create_task(keeper._watch())
    with suppress(TimeoutError):
        async with asyncio.timeout(0.3):
            await stopped.wait()
    watchdog.cancel()
    assert working == (begun if goes_on else set())
    assert {name for name in NAMES if keeper.lease(name)} == working
