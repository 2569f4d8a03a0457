"""Tells the service manager how Dash is: ready, stopping, alive. The protocol is sd_notify(3): a datagram of lines."""

import asyncio
import socket
import time

import structlog

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

    async def beat(self) -> None:
        """Give a sign of life twice in each period while the event loop runs. Returns only if none is wanted."""
        while self._watchdog_secs is not None:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_secs / 2)

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
