"""Programs of the distribution that tests drive. ``tests/tools.sh`` installs them where they are missing."""

import os
import shutil
import sys
from pathlib import Path


def program(*names: str) -> str | None:
    """Return the first of ``names`` that there is, on PATH or in the environment of the checkout."""
    places = os.pathsep.join((os.environ.get("PATH", ""), str(Path(sys.executable).parent), "/usr/sbin", "/sbin"))
    return next(filter(None, (shutil.which(name, path=places) for name in names)), None)


def promtool() -> str:
    """Return Prometheus's own tool, which reads an exposition."""
    found = program("promtool")
    assert found, "there is no promtool: run 'make tools'"
    return found


def proxy(name: str) -> str:
    """Return ``nginx``, ``haproxy`` or ``pgbouncer``."""
    found = program(name)
    assert found, f"there is no {name}: run 'make tools'"
    return found


def chromium() -> str | None:
    """Return the system's Chromium; None: the one that Playwright brings."""
    return program("chromium", "chromium-browser", "google-chrome")
