"""One life of a serving appliance: it opens its port, says that it is ready, reads settings again, and drains."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from appliance.errors import DashError
from appliance.observe.service_manager import ServiceManager
from appliance.server import Listener
from appliance.settings import Settings

ACCEPTS_WITHIN_SECS: Final = 10.0
LOOK_SECS: Final = 1.0
AGAIN_SECS: Final = 5.0  # the longest that whoever connects waits for a download to end before it is cut off

log = structlog.get_logger("appliance")


@dataclass(frozen=True, slots=True)
class Callbacks:
    """``ready`` is told the address; ``reload`` runs on SIGHUP; ``drain`` before the port is closed."""

    ready: Callable[[str], None]
    reload: Callable[[], Awaitable[None]]
    drain: Callable[[], Awaitable[None]]


async def await_order(file: Path, again: Callable[[], None]) -> None:
    """Call ``again`` once a move was ordered: once ``file``, which anybody may write, can be read."""
    while not os.access(file, os.R_OK):  # noqa: ASYNC110 - there is nobody to tell
        await asyncio.sleep(LOOK_SECS)
    log.info("move.ordered")
    again()


class Caller(NamedTuple):
    """Who has the appliance serve: ``port`` is bound, ``ready`` hears the address, ``reread`` gives settings anew."""

    port: socket.socket
    ready: Callable[[str], None]
    service: ServiceManager
    reread: Callable[[], Settings]


class Life:
    """Runs from ``live`` until SIGTERM or SIGINT. ``stopping`` is set then, so that open streams end themselves."""

    def __init__(self, service: ServiceManager) -> None:
        self._service = service
        self.stopping = asyncio.Event()
        self.again = False

    def start_again(self) -> None:
        """End as for SIGTERM, and have whoever serves begin anew. What is asked at the moment is still answered."""
        self.again = True
        self.stopping.set()

    async def live(self, listener: Listener, url: str, callbacks: Callbacks, drain_secs: float) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: asyncio.ensure_future(self._reload(callbacks, url)))
        listener.start()
        await listener.accepts(ACCEPTS_WITHIN_SECS)
        beating = asyncio.create_task(self._service.beat(listener.answers), name="watchdog")
        callbacks.ready(url)
        log.info("appliance.ready", url=url)
        await self.stopping.wait()
        log.info("appliance.draining", again=self.again)
        if self.again:
            self._service.reloading()
        else:
            self._service.stopping()
        if self.again:  # whoever is connected has his answer first, and nobody is told to come again
            await listener.stop(min(drain_secs, AGAIN_SECS), keep_port=True)
        await callbacks.drain()
        await listener.stop(drain_secs)
        beating.cancel()

    async def _reload(self, callbacks: Callbacks, url: str) -> None:
        self._service.reloading()
        try:
            await callbacks.reload()
            log.info("appliance.reloaded")
        except DashError as error:
            log.error("appliance.not_reloaded", error=str(error))
        self._service.ready(f"ready {url}")


async def end_tasks(within_secs: float = 2.0) -> list[str]:
    """Cancel every other task and return the names of those that do not end in time."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if not others:
        return []
    _, pending = await asyncio.wait(others, timeout=within_secs)
    return sorted(task.get_name() for task in pending)
