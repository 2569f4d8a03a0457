"""Tells the service manager how Dash is: ready, stopping, alive. The protocol is sd_notify(3): a datagram of lines."""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

BEATS: Final = 3  # in each period of the watchdog: one that comes late, or a moment of overload, ends nothing

log = structlog.get_logger("service")


class ServiceManager:
    """The one that started this process; without an address, every method does nothing."""

    def __init__(self, address: str | None, watchdog_secs: float | None = None) -> None:
        self._address = address
        self._watchdog_secs = watchdog_secs

    def ready(self, status: str) -> None:
        """Requests are accepted from now on."""
        self._tell(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """Settings are being read again; ``ready`` follows."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """No new requests are taken; what is open finishes."""
        self._tell("STOPPING=1\nSTATUS=draining")

    async def beat(self, alive: Callable[[], Awaitable[bool]]) -> None:
        """Give signs of life while ``alive`` answers that there is life; returns only if none are wanted.

        A process whose event loop runs but that answers nobody gives none, and so is started again.
        """
        lively = True
        while self._watchdog_secs is not None:
            was, lively = lively, await alive()
            if lively:
                self._tell("WATCHDOG=1")
            if lively != was:
                log.log(*_turn(lively), secs=self._watchdog_secs)
            await asyncio.sleep(self._watchdog_secs / BEATS)

    def _tell(self, message: str) -> None:
        if self._address is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.settimeout(1)
                out.sendto(message.encode(), address)
        except OSError as error:
            log.warning("service_manager.not_told", address=self._address, error=str(error))


def _turn(lively: bool) -> tuple[int, str]:
    return (logging.INFO, "service_manager.alive_again") if lively else (logging.ERROR, "service_manager.not_alive")
