"""The small client for calls between nodes: signed, bounded in time and bytes.

It is apart from ``egress`` on purpose: where it connects to is said by the control plane and never by a user, and the
guard against private addresses would refuse just those that nodes have.
"""

import re
import ssl
import time
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

import httpx
import msgspec

from appliance.components.handshake import MOST_APART_MS, PROTOCOL, Ask, Seal, digest_of, new_nonce
from appliance.components.log_calls import PING_PATH, Pong, Refused
from appliance.components.packed import MOST_ANSWERED, MOST_ASKED, unpacked
from appliance.components.partitions import Holder
from appliance.domain.clock import Clock, utc_now
from appliance.errors import DashError, TooLarge, TransientError
from appliance.storage.bronze_cluster.silence import Silence

_CONNECT_SECS: Final = 3.0
_READ_SECS: Final = 10.0  # between two pieces of an answer
_CONNECTIONS: Final = 32
_RETRY_SECS: Final = 2.0
_ERRNO: Final = re.compile(r"^\[Errno -?\d+\] ")

T = TypeVar("T")


class Caller:
    """Asks other nodes; for any thread. ``whole_secs``: what an answer may take in all, if a call does not say.

    ``tls``: True verifies by the roots that come with Dash; or a context, for a certificate authority of one's own.
    """

    def __init__(
        self,
        seal: Seal,
        *,
        tls: ssl.SSLContext | bool = True,
        whole_secs: float = 30.0,
        most_answered: int = MOST_ANSWERED,
        clock: Clock = utc_now,
    ) -> None:
        self._seal, self._clock = seal, clock
        self._whole_secs, self._most = whole_secs, most_answered
        self.silence = Silence()
        limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
        self._http = httpx.Client(verify=tls, trust_env=False, follow_redirects=False, limits=limits)

    def ask(self, holder: Holder, path: str, body: bytes, type_: type[T], *, patience_secs: float | None = None) -> T:
        """Return what ``holder`` answers; blocking.

        ``patience_secs``: how long the other node may work on it before it begins to answer.

        Raises:
            TransientError: it does not answer, or nobody at its address proves to be it.
            TooLarge: ``body`` is larger than a node takes.
            DashError: what was raised there.
        """
        if (why := self.silence.reason(holder.address)) is not None:
            raise TransientError(f"{_named(holder)} did not answer a moment ago ({why})", _RETRY_SECS)
        if len(body) > MOST_ASKED:
            raise TooLarge(f"asking {_named(holder)}: {len(body)} bytes are more than {MOST_ASKED}: ask for less")
        ask = Ask(
            node_id=holder.node_id, method="POST", path=path, query="", time_ms=_milliseconds(self._clock()),
            nonce=new_nonce(), digest=digest_of(body),
        )  # fmt: skip
        try:
            return self._sent(holder, ask, body, type_, patience_secs)
        except DashError:
            raise
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            told = _ERRNO.sub("", str(error)) or type(error).__name__
            if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                self.silence.begins(holder.address, told)
            told = f"{_named(holder)} does not answer ({told}): what is on its disk can be read when it is back"
            raise TransientError(told, _RETRY_SECS) from error
        except (msgspec.MsgspecError, ValueError) as error:
            told = f"{_named(holder)} answers what is not understood here, perhaps by another version of Dash ({error})"
            raise TransientError(told, _RETRY_SECS) from error

    def ping(self, holder: Holder) -> Pong:
        """Return who answers at the holder's address. Raises as ``ask``."""
        return self.ask(holder, PING_PATH, b"", Pong)

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def _sent(self, holder: Holder, ask: Ask, body: bytes, type_: type[T], patience_secs: float | None) -> T:
        whole = self._whole_secs if patience_secs is None else patience_secs
        reading = min(_READ_SECS, whole) if patience_secs is None else whole
        timeout = httpx.Timeout(reading, connect=_CONNECT_SECS, pool=_CONNECT_SECS)
        deadline = time.monotonic() + whole
        address = holder.address.rstrip("/") + ask.path
        headers = {"accept-encoding": "identity", **self._seal.ask_headers(ask)}
        with self._http.stream("POST", address, content=body, headers=headers, timeout=timeout) as response:
            self._expect_signature(holder, response)
            answer = self._body(holder, response, deadline)
        self._check(holder, ask, response, answer)
        plain = unpacked(answer, self._most)
        if response.status_code != httpx.codes.OK:
            raise msgspec.msgpack.decode(plain, type=Refused).error(_named(holder))
        return msgspec.msgpack.decode(plain, type=type_)

    def _expect_signature(self, holder: Holder, response: httpx.Response) -> None:
        """Return if the answer claims to be signed: else nothing of it is read."""
        if "dash-signature" not in response.headers:
            apart = _apart_ms(response, self._clock())
            if apart is not None and abs(apart) > MOST_APART_MS - 1000:
                told = f"its clock is {abs(apart) // 1000} s {'ahead of' if apart > 0 else 'behind'} the one here"
                told += f" and may differ by {MOST_APART_MS // 1000} s: set both by the same time server"
            else:
                told = "check that the file secret.key is the same on both, and the address that the node gives"
            raise TransientError(
                f"{_named(holder)} does not answer as a node of this installation ({response.status_code}): {told}",
                _RETRY_SECS,
            )

    def _body(self, holder: Holder, response: httpx.Response, deadline: float) -> bytes:
        parts, size = [], 0
        for part in response.iter_raw():
            parts.append(part)
            size += len(part)
            if size > self._most:
                raise TransientError(f"{_named(holder)} answers more than {self._most} bytes: ask for less at once")
            if time.monotonic() > deadline:
                raise TransientError(f"{_named(holder)} answers too slowly: it took longer than it may", _RETRY_SECS)
        return b"".join(parts)

    def _check(self, holder: Holder, ask: Ask, response: httpx.Response, body: bytes) -> None:
        answer = self._seal.answer(response.headers, response.status_code, ask.nonce, body)
        if answer is None:
            told = "its answer is not signed by a node of this installation, or was changed on its way"
            raise TransientError(f"{_named(holder)}: {told}", _RETRY_SECS)
        if answer.node_id != holder.node_id:
            told = f"node {answer.node_id} answers there now, and not {holder.node_id}"
            raise TransientError(f"{_named(holder)}: {told}: wait until the node tells where it is", _RETRY_SECS)
        if answer.protocol != PROTOCOL:
            told = f"it speaks version {answer.protocol} of calls between nodes, and this one version {PROTOCOL}"
            raise TransientError(f"{_named(holder)}: {told}: bring both to the same version of Dash", _RETRY_SECS)


def _named(holder: Holder) -> str:
    return f"node {holder.name!r} at {holder.address}"


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _apart_ms(response: httpx.Response, now: datetime) -> int | None:
    """Return by how much the clock of whoever answered is ahead, as far as it tells."""
    try:
        theirs = parsedate_to_datetime(response.headers["date"])
        return _milliseconds(theirs) - _milliseconds(now)
    except (KeyError, ValueError, TypeError):
        return None
