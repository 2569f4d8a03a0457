"""Topics: one encoded payload for everybody who listens. A slow listener loses payloads and delays nobody."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

MAILBOX_PAYLOADS: Final = 256


class Mailbox:
    """What one listener has not read yet, of all topics it follows. Newest win: when full, the oldest is dropped."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub
        self._waiting: deque[bytes] = deque(maxlen=MAILBOX_PAYLOADS)
        self._arrived = asyncio.Event()
        self.topics: set[str] = set()

    def follow(self, topic: str) -> None:
        """Receive what is published on ``topic`` from now on."""
        self.topics.add(topic)
        self._hub.listeners[topic].add(self)

    def leave(self, topic: str) -> None:
        """Receive no more of ``topic``; unknown: nothing happens."""
        self.topics.discard(topic)
        listeners = self._hub.listeners.get(topic)
        if listeners is not None:
            listeners.discard(self)
            if not listeners:
                del self._hub.listeners[topic]

    def put(self, payload: bytes) -> None:
        self._waiting.append(payload)
        self._arrived.set()

    async def get(self) -> bytes:
        """Wait for the oldest payload not yet read."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()


class Carrier(Protocol):
    """Who carries payloads to other nodes. ``engine.relay.Relay`` satisfies it."""

    def wants(self, topic: str) -> bool: ...
    def carry(self, topic: str, payload: bytes) -> None: ...


class Hub:
    """All topics of this process. Belongs to the event loop: not safe from other threads."""

    def __init__(self) -> None:
        self.listeners: defaultdict[str, set[Mailbox]] = defaultdict(set)
        self.relay: Carrier | None = None  # None: there are no other nodes

    def heard(self, topic: str) -> bool:
        """Return whether anybody follows ``topic``, here or elsewhere: whether a payload is worth encoding."""
        return topic in self.listeners or (self.relay is not None and self.relay.wants(topic))

    def publish(self, topic: str, payload: bytes) -> None:
        """Hand what happened here to everybody who follows ``topic``, on this node and on others."""
        self.deliver(topic, payload)
        if self.relay is not None:
            self.relay.carry(topic, payload)

    def deliver(self, topic: str, payload: bytes) -> None:
        """Hand a payload to those on this node who follow ``topic``."""
        for mailbox in tuple(self.listeners.get(topic, ())):
            mailbox.put(payload)

    @asynccontextmanager
    async def mailbox(self) -> AsyncIterator[Mailbox]:
        """Give a mailbox that leaves all its topics at the end."""
        mailbox = Mailbox(self)
        try:
            yield mailbox
        finally:
            for topic in tuple(mailbox.topics):
                mailbox.leave(topic)

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give an iterator over what is published on one topic; it never ends by itself."""
        async with self.mailbox() as mailbox:
            mailbox.follow(topic)
            yield _payloads(mailbox)


async def _payloads(mailbox: Mailbox) -> AsyncIterator[bytes]:
    while True:
        yield await mailbox.get()
