"""The relay: joins the topics of this process with those of the other nodes.

A payload crosses to other nodes only while one of them follows its topic, which they say when they begin to and then
again and again. A bell is told to all: it has no content, and says that somebody should look.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
import structlog

from appliance.components.bus import Bus
from appliance.engine.topics import Hub

COMMITS: Final = "commits"  # topic of which pipelines have new rows
CROSSING: Final = ("pipeline:", "replay:", COMMITS)  # what each node computes for itself stays with it
FOLLOW: Final = "follow"  # topic of messages that say what a node follows
RING: Final = "ring:"
LOOK_SECS: Final = 0.5  # between two looks at what is followed here
AGAIN_SECS: Final = 20.0
FORGET_SECS: Final = 60.0  # who has not said it again follows no more
MOST_TOPICS: Final = 10_000

log = structlog.get_logger("relay")


class Relay:
    """Belongs to the event loop. ``missed``: called when messages may have been lost."""

    def __init__(self, hub: Hub, bus: Bus) -> None:
        self._hub, self._bus = hub, bus
        self._elsewhere: dict[str, float] = {}  # topic -> until when somebody else is taken to follow it
        self._told: set[str] = set()
        self._told_at = 0.0
        self._bells: dict[str, list[Callable[[], None]]] = {}
        self.missed: list[Callable[[], None]] = []
        bus.listen(self._hear, self._look_again)
        hub.relay = self

    def wants(self, topic: str) -> bool:
        """Return whether another node follows ``topic``."""
        until = self._elsewhere.get(topic)
        return until is not None and until > time.monotonic()

    def carry(self, topic: str, payload: bytes) -> None:
        """Hand what was published here to the other nodes that follow it."""
        if self.wants(topic):
            self._bus.send(topic, payload)

    def on_ring(self, name: str, answer: Callable[[], None]) -> None:
        """Have ``answer`` called when another node rings this bell, and when one may have rung unheard."""
        self._bells.setdefault(name, []).append(answer)

    def ring(self, name: str) -> None:
        """Ring a bell on all other nodes."""
        self._bus.send(RING + name)

    async def run(self) -> None:
        """Tell the others what is followed here, until cancelled."""
        while True:
            self._tell({topic for topic in self._hub.listeners if topic.startswith(CROSSING)})
            await asyncio.sleep(LOOK_SECS)

    def _tell(self, followed: set[str]) -> None:
        now = time.monotonic()
        again = now - self._told_at >= AGAIN_SECS
        news = followed if again else followed - self._told
        self._told = followed
        if again:
            self._told_at = now
            self._elsewhere = {topic: until for topic, until in self._elsewhere.items() if until > now}
        if news:
            self._bus.send(FOLLOW, msgspec.json.encode(sorted(news)))

    def _hear(self, topic: str, payload: bytes) -> None:
        if topic == FOLLOW:
            self._note(msgspec.json.decode(payload, type=list[str]))
        elif topic.startswith(RING):
            self._answer(topic.removeprefix(RING))
        else:
            self._hub.deliver(topic, payload)

    def _note(self, topics: Iterable[str]) -> None:
        until = time.monotonic() + FORGET_SECS
        for topic in topics:
            if topic in self._elsewhere or len(self._elsewhere) < MOST_TOPICS:
                self._elsewhere[topic] = until

    def _answer(self, name: str) -> None:
        for answer in self._bells.get(name, ()):
            answer()

    def _look_again(self) -> None:
        """What was said may not have been heard, on either side: say it again, and have everybody look."""
        self._told_at = 0.0
        for name in self._bells:
            self._answer(name)
        for look in self.missed:
            look()
