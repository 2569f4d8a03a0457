"""The contract of the bus: short messages between nodes. It carries hints: whoever misses one looks by himself."""

from collections.abc import Callable
from typing import Protocol

Hear = Callable[[str, bytes], None]
Missed = Callable[[], None]


class Bus(Protocol):
    """Belongs to the event loop. A message reaches every other node at most once, in the order of its sender."""

    def listen(self, hear: Hear, missed: Missed) -> None:
        """Have ``hear(topic, payload)`` called for each message of another node; before ``run``.

        ``missed()`` is called when some may have been lost: look again at whatever they would have told.
        """
        ...

    def send(self, topic: str, payload: bytes = b"") -> None:
        """Tell all other nodes, soon; never blocks. What does not fit into the queue is dropped, the oldest first."""
        ...

    async def run(self) -> None:
        """Carry messages until cancelled; a broken connection is made anew."""
        ...
