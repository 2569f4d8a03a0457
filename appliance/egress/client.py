"""The outgoing client: one request, bounded in time and bytes, to a target that the guard let pass."""

import asyncio
import ssl
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import httpcore

from appliance.components.resources import Outbound, OutboundRequest, OutboundResponse
from appliance.domain.gunzip import Gunzip
from appliance.egress.backend import GuardedBackend, Resolver, resolve
from appliance.egress.guard import Allowed
from appliance.egress.target import Target, parse_redirect, parse_target
from appliance.egress.traffic import Traffic, TrafficLog
from appliance.errors import ConfigError, Problem, TooLarge, TransientError, UnsupportedMedia

_CONNECT_SECS = 10.0
_REDIRECTS = (301, 302, 303, 307, 308)
_KEPT_ABROAD = ("accept", "user-agent")  # headers that follow a redirect to another origin: credentials do not
_OURS = ("host", "content-length", "transfer-encoding", "connection", "accept-encoding", "te", "upgrade", "expect")
_MAX_CONNECTIONS = 100


class OutboundClient:
    """Satisfies ``Outbound``. Proxies and other settings of the environment are not looked at.

    ``ca_file``: authorities to trust beside the system's.
    """

    def __init__(
        self, allow: Sequence[Allowed] = (), ca_file: Path | None = None, *, resolver: Resolver = resolve
    ) -> None:  # fmt: skip
        self._ca_file = ca_file
        self._backend = GuardedBackend(tuple(allow), resolver)
        self._traffic = TrafficLog()
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        """See ``Outbound.send``."""
        target = parse_target(request.url)
        headers = {name.lower(): value for name, value in request.headers.items()}
        hops = request.max_redirects if request.method in ("GET", "HEAD") else 0
        try:
            async with asyncio.timeout(request.timeout_secs):
                response = await self._exchange(request, target, headers)
                while response.status in _REDIRECTS and "location" in response.headers and hops > 0:
                    following = parse_redirect(target, response.headers["location"])
                    if following.origin != target.origin:
                        headers = {name: value for name, value in headers.items() if name in _KEPT_ABROAD}
                    target, hops = following, hops - 1
                    response = await self._exchange(request, target, headers)
        except TimeoutError as error:
            raise TransientError(f"{_doing(request, target)} took longer than {request.timeout_secs:g} s") from error
        return response

    def traffic(self) -> dict[str, Traffic]:
        """Return the counts of each host that was asked for since the start."""
        return self._traffic.snapshot()

    async def allow(self, allow: Sequence[Allowed]) -> None:
        """Let ``allow`` hold from now on; connections made under the old list are closed."""
        self._backend.allow = tuple(allow)
        await self.close()

    async def close(self) -> None:
        """Close every connection; what is under way fails. A later ``send`` opens new ones."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()

    async def _exchange(self, request: OutboundRequest, target: Target, headers: dict[str, str]) -> OutboundResponse:
        counts = self._traffic.of(target.host)
        counts.requests += 1
        counts.bytes_out += len(request.body or b"")
        secs = min(_CONNECT_SECS, request.timeout_secs)
        timeouts = {"connect": secs, "read": request.timeout_secs, "write": request.timeout_secs, "pool": secs}
        try:
            async with self._connections().stream(
                request.method,
                target.url,
                headers=_wire_headers(headers, target),
                content=request.body,
                extensions={"timeout": timeouts},
            ) as response:
                told = _headers(response.headers)
                body = await _read(response, told, request, counts)
        except ConfigError:
            counts.refused += 1
            raise
        except (httpcore.LocalProtocolError, UnicodeEncodeError) as error:
            raise ConfigError([Problem("", f"{_doing(request, target)} is not possible: {error}")]) from error
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
            raise TransientError(f"{_doing(request, target)} failed: {_cause(error)}") from error
        return OutboundResponse(status=response.status, headers=told, body=body, url=target.url)

    def _connections(self) -> httpcore.AsyncConnectionPool:
        if self._pool is None:
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=_trust(self._ca_file),
                max_connections=_MAX_CONNECTIONS,
                keepalive_expiry=15.0,
                network_backend=self._backend,
            )
        return self._pool


async def _read(
    response: httpcore.Response, headers: Mapping[str, str], request: OutboundRequest, counts: Traffic
) -> bytes:
    """Return the body, inflated, never holding more than the bound."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip"):
        raise UnsupportedMedia(f"the answer of {_asked(request)!r} is encoded as {coding[:40]!r}: gzip was asked for")
    gunzip: Gunzip | None = None if coding == "identity" else Gunzip(request.max_bytes)
    body, received = bytearray(), 0
    async for chunk in response.aiter_stream():
        received += len(chunk)
        counts.bytes_in += len(chunk)
        if received > request.max_bytes:
            raise TooLarge(f"the answer of {_asked(request)!r} exceeds {request.max_bytes} bytes")
        try:
            body += gunzip.feed(chunk) if gunzip else chunk
        except ValueError as error:
            raise UnsupportedMedia(f"the answer of {_asked(request)!r} is {error}") from error
    if gunzip is not None and received and not gunzip.whole:
        raise TransientError(f"the answer of {_asked(request)!r} is cut off")
    return bytes(body)


def _wire_headers(headers: Mapping[str, str], target: Target) -> list[tuple[bytes, bytes]]:
    ours = [(b"Host", target.authority.encode()), (b"Accept-Encoding", b"gzip, identity")]
    if "user-agent" not in headers:
        ours.append((b"User-Agent", b"dash-appliance"))
    return ours + [
        (name.encode("ascii"), text.encode("latin-1")) for name, text in headers.items() if name not in _OURS
    ]


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        joined[key] = f"{joined[key]}, {text}" if key in joined else text
    return joined


def _asked(request: OutboundRequest) -> str:
    return request.url.partition("?")[0]  # queries may carry credentials


def _doing(request: OutboundRequest, target: Target) -> str:
    return f"{request.method} {target.scheme}://{target.authority}{target.path.partition('?')[0]}"


def _cause(error: Exception) -> str:
    if isinstance(error, httpcore.TimeoutException | TimeoutError):
        return "it was too slow"
    return str(error) or "the connection was closed"


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """Return TLS settings that trust the system's authorities (on a system without any, those of certifi), and further
    ones.

    Raises:
        ConfigError: ``ca_file`` cannot be read.
    """
    context = ssl.create_default_context()
    places = ssl.get_default_verify_paths()
    if not (places.cafile or places.capath):
        import certifi

        context.load_verify_locations(certifi.where())
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError too: a file that holds none
            told = f"no certificates can be read from it: {error.strerror or error}"
            raise ConfigError([Problem("egress.ca_file", told, file=str(ca_file))]) from error
    return context


_: type[Outbound] = OutboundClient
