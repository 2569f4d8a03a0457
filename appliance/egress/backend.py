"""Connections: resolve once, judge every answer, connect to the very address that was judged."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import httpcore

from appliance.egress.guard import Address, Allowed, Verdict, judge, parse_address
from appliance.errors import ConfigError, Problem, TransientError

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver for the addresses of ``host``, best first."""
    answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in answers]


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """httpcore's network, with the guard between name and connection. TLS and Host keep using the name."""

    def __init__(self, allow: Sequence[Allowed], resolver: Resolver = resolve) -> None:
        self.allow = allow
        self._resolver = resolver
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of ``host`` that answers, if every address of it may be connected to.

        Raises:
            ConfigError: an address that may not; nothing was connected to.
            TransientError: the name does not resolve.
        """
        async with asyncio.timeout(timeout):
            addresses = await self._addresses(host, port)
        problem: Exception | None = None
        for address in addresses[:4]:
            try:
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem or TransientError(f"connecting to {host!r} failed: the name has no address; check the spelling")

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise ConfigError([Problem("", "sockets in the file system are not connected to", "name a host and a port")])

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> list[Address]:
        try:
            addresses = [parse_address(answer) for answer in await self._resolver(host, port)]
        except (OSError, ValueError) as error:  # UnicodeError of overlong labels among them
            why = getattr(error, "strerror", None) or error
            raise TransientError(
                f"resolving {host!r} failed: {why}; check the spelling and this machine's DNS",
                retry_after_secs=5,
            ) from error
        for address in addresses:
            verdict = judge(address, port, self.allow)
            if verdict in (Verdict.NEVER, Verdict.PRIVATE):
                raise ConfigError([_refused(host, port, address, verdict)])
        return list(dict.fromkeys(addresses))


def _refused(host: str, port: int, address: Address, verdict: Verdict) -> Problem:
    told = f"connecting to {host!r} was refused: {address} is"
    if verdict is Verdict.NEVER:
        return Problem(
            "", f"{told} a link-local, metadata or multicast address", "use another target: none such is allowed"
        )
    network = f"[{address}/128]" if address.version == 6 else f"{address}/32"
    return Problem("", f"{told} a private address", f"an administrator can add '{network}:{port}' to egress.allow")
