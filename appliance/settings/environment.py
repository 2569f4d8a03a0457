"""What the service manager says through the environment. It is no setting: nobody but systemd writes it."""

import os
from collections.abc import Mapping
from typing import NamedTuple


class Supervision(NamedTuple):
    """``address``: the socket to notify, None without a service manager. ``watchdog_secs``: how often it wants a sign
    of life at least, None if it does not watch."""

    address: str | None = None
    watchdog_secs: float | None = None


def supervision(env: Mapping[str, str] | None = None) -> Supervision:
    """Return what systemd told this process; see sd_notify(3) and sd_watchdog_enabled(3)."""
    env = os.environ if env is None else env
    address = env.get("NOTIFY_SOCKET") or None
    micros, pid = env.get("WATCHDOG_USEC", ""), env.get("WATCHDOG_PID", "")
    meant = address is not None and micros.isdigit() and int(micros) > 0 and pid in ("", str(os.getpid()))
    return Supervision(address, int(micros) / 1_000_000 if meant else None)
