"""Counts of where requests went, so that nothing leaves unnoticed."""

import msgspec

_MAX_DESTINATIONS = 1_000
_REST = "(others)"


class Traffic(msgspec.Struct):
    """What went to one host and came back. Bytes of bodies, as they were on the wire."""

    requests: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    refused: int = 0


class TrafficLog:
    """Counts by host. Of more than 1,000 hosts the later ones are counted together as ``(others)``."""

    def __init__(self) -> None:
        self._hosts: dict[str, Traffic] = {}

    def of(self, host: str) -> Traffic:
        """Return the counts of ``host``, to be added to."""
        if host not in self._hosts and len(self._hosts) >= _MAX_DESTINATIONS:
            host = _REST
        return self._hosts.setdefault(host, Traffic())

    def snapshot(self) -> dict[str, Traffic]:
        """Return a copy of all counts."""
        return {host: msgspec.structs.replace(counts) for host, counts in self._hosts.items()}
