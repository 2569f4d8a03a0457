"""Bells: somebody should look now, and need not wait for his next round."""

import asyncio
from collections.abc import Callable


class Bell(asyncio.Event):
    """Set when rung, until whoever waits has noticed. ``others``: who carries it to the other nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.others: Callable[[], None] | None = None

    def ring(self) -> None:
        """Ring here and on the other nodes."""
        self.set()
        if self.others is not None:
            self.others()


async def rung(bell: asyncio.Event, secs: float) -> bool:
    """Wait so long, or until ``bell`` is rung; return whether it was, and make it quiet again."""
    try:
        async with asyncio.timeout(secs):
            await bell.wait()
    except TimeoutError:
        return False
    bell.clear()
    return True
