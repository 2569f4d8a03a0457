"""Gzip that cannot explode: inflates as it comes and never makes more than was allowed."""

import zlib

from appliance.errors import TooLarge


class Gunzip:
    """Inflates one gzip stream, of one or several members, to at most ``limit`` bytes in all.

    ``feed`` it what arrives, in order; then ask ``whole``.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._made = 0
        self._stream = _member()

    def feed(self, data: bytes) -> bytes:
        """Return what ``data`` inflates to.

        Raises:
            TooLarge: there is more than ``limit``; the message names it.
            ValueError: not gzip.
        """
        parts = []
        while data:
            if self._stream.eof:
                self._stream = _member()
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

    @property
    def whole(self) -> bool:
        """Return whether the last member has ended (False also where nothing was fed)."""
        return self._stream.eof


def _member() -> "zlib._Decompress":
    return zlib.decompressobj(16 + zlib.MAX_WBITS)
