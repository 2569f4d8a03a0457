"""Gzip that cannot explode: inflates as it comes and never makes more than was allowed."""

import zlib

from appliance.errors import TooLarge

_MAX_MEMBERS = 1_000  # each begins with a copy of what is left of its chunk
_CHUNK = 64 * 1024


class Gunzip:
    """Inflates one gzip stream, of one or several members, to at most ``limit`` bytes in all.

    ``feed`` it what arrives, in order; then ask ``whole``.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._made = 0
        self._members = 1
        self._stream = _member()

    def feed(self, data: bytes) -> bytes:
        """Return what ``data`` inflates to.

        Raises:
            TooLarge: there is more than ``limit``; the message names it.
            ValueError: not gzip.
        """
        view = memoryview(data)
        return b"".join(self._feed(view[at : at + _CHUNK]) for at in range(0, len(view), _CHUNK))

    def _feed(self, data: "memoryview | bytes") -> bytes:
        parts = []
        while data:
            if self._stream.eof:
                self._begin_member()
            try:
                part = self._stream.decompress(data, self._limit + 1 - self._made)
            except zlib.error as error:
                raise ValueError(f"not gzip: {error}") from error
            self._made += len(part)
            if self._made > self._limit:
                raise TooLarge(f"the gzip inflates to more than the {self._limit} bytes allowed: send or ask for less")
            parts.append(part)
            data = self._stream.unused_data if self._stream.eof else b""
        return b"".join(parts)

    def _begin_member(self) -> None:
        self._members += 1
        if self._members > _MAX_MEMBERS:
            raise ValueError(f"gzip in more than {_MAX_MEMBERS} members")
        self._stream = _member()

    @property
    def whole(self) -> bool:
        """Return whether the last member has ended (False also where nothing was fed)."""
        return self._stream.eof


def _member() -> "zlib._Decompress":
    return zlib.decompressobj(16 + zlib.MAX_WBITS)
