"""Whether the appliance that was started is well: it answers, as the version that is meant, and goes on for a while."""

import http.client
import re
import time
from typing import Final

import msgspec

from appliance.settings.sections import Server
from appliance.upgrading.service import Service

LOOK_SECS: Final = 0.25
SETTLES_SECS: Final = 5.0  # that it has to be well in one piece
_VERSION: Final = re.compile(rb'^dash_build_info\{version="([^"]*)"\}', re.MULTILINE)


class Gate:
    """Looks at one address. ``within_secs``: from the start to being well for ``SETTLES_SECS``."""

    def __init__(self, server: Server, within_secs: float, settles_secs: float = SETTLES_SECS) -> None:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)  # noqa: S104 - compared, not bound
        self._where = (host, server.port)
        self._within, self._settles = within_secs, settles_secs

    def trouble(self, version: str, service: Service) -> str | None:
        """Return why ``version`` is not well; None: it is. Blocking, until either is known."""
        deadline = time.monotonic() + self._within
        well_since: float | None = None
        told = "it did not answer"
        while time.monotonic() < deadline:
            if not service.runs():
                return f"it ended by itself; the last line of its log: {service.last_words() or 'none'}"
            told = self.look(version)
            now = time.monotonic()
            well_since = (well_since or now) if told == "" else None
            if well_since is not None and now - well_since >= self._settles:
                return None
            time.sleep(LOOK_SECS)
        words = service.last_words()
        log = f"; the last line of its log: {words}" if words else ""
        return f"not well within {self._within:.0f} s: {told or 'it had not been well for long enough'}{log}"

    def look(self, version: str) -> str:
        """Return what is wrong with ``version`` at this moment; empty: nothing."""
        try:
            status, body = self._get("/readyz")
            parts = msgspec.json.decode(body)["parts"]
            ailing = [f"{name}: {one['reason']}" for name, one in parts.items() if not one["ready"]]
            if status != http.client.OK or ailing:
                return "; ".join(ailing) or f"/readyz answers {status}"
            found = _VERSION.search(self._get("/metrics")[1])
        except (OSError, http.client.HTTPException, msgspec.DecodeError, KeyError, TypeError) as error:
            return f"it does not answer on {self._where[0]} port {self._where[1]} ({error})"
        answers = found[1].decode("utf-8", "replace") if found else "no version"
        return "" if answers == version else f"{answers} answers, and {version} is meant"

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*self._where, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read(8 << 20)
        finally:
            connection.close()
