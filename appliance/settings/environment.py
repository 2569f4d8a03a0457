"""What the environment says that is no setting: what systemd and Kubernetes tell, and the token of commands."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

TOKEN: Final = "DASH_TOKEN"  # noqa: S105 - the name of a variable
_LIBRARIES: Final = "LD_LIBRARY_PATH"
_OF_THE_BUNDLE: Final = "_PYI_"
HANDED_OVER: Final = 3  # the descriptor of a socket that this process was started with; see sd_listen_fds(3)
_SERVICE = "_SERVICE_HOST"
_LINK = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?")


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


def token(env: Mapping[str, str] | None = None) -> str | None:
    """Return the API token with which commands ask a running appliance; None: there is none."""
    return (os.environ if env is None else env).get(TOKEN, "").strip() or None


def handed_over(env: Mapping[str, str] | None = None) -> int | None:
    """Return the descriptor of a socket that listens, for this process to go on with; None: it was given none."""
    env = os.environ if env is None else env
    meant = env.get("LISTEN_PID") == str(os.getpid()) and env.get("LISTEN_FDS") == "1"
    return HANDED_OVER if meant else None


def handing_over() -> dict[str, str]:
    """Return the environment for the program that this process becomes, with a socket as ``HANDED_OVER``."""
    return {**os.environ, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}


def credentials(env: Mapping[str, str]) -> Path | None:
    """Return the directory of this service's credentials; see ``LoadCredential`` in systemd.exec(5)."""
    return Path(told) if (told := env.get("CREDENTIALS_DIRECTORY", "")) else None


def of_others(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment (this process's, or ``env`` of one) for programs that are none of this release's.

    What starts the bundle has its own libraries found first; other programs of the system would take them for theirs,
    and not start. Source: PyInstaller's manual, LD_LIBRARY_PATH and ``_PYI_…``.
    """
    given = dict(os.environ if env is None else env)
    if not getattr(sys, "frozen", False) and not any(key.startswith(_OF_THE_BUNDLE) for key in given):
        return given
    cleaned = {key: value for key, value in given.items() if not key.startswith(_OF_THE_BUNDLE)}
    before = cleaned.pop(f"{_LIBRARIES}_ORIG", "")
    cleaned.pop(_LIBRARIES, None)
    return cleaned | ({_LIBRARIES: before} if before else {})


def service_links(env: Mapping[str, str]) -> frozenset[str]:
    """Return the variables by which Kubernetes tells a container of every Service beside it.

    A Service that is called ``dash`` brings ``DASH_SERVICE_HOST`` and ``DASH_PORT``; one called ``dash-server`` brings
    ``DASH_SERVER_PORT`` with an address in it, which is also the name of a setting.

    Source: Kubernetes, Service, "Environment variables"; they go with ``enableServiceLinks: false``.
    """
    services = [one.removesuffix(_SERVICE) for one in env if one.endswith(_SERVICE)]
    return frozenset(
        one
        for one, value in env.items()
        for service in services
        if one.startswith(service) and _LINK.fullmatch(one.removeprefix(service))
        if one != f"{service}_PORT" or "://" in value  # else somebody has set it: that wins in a pod
    )
