"""Short messages about what an action did; drawn by ``static/toast.js`` in a live region."""

import json
from typing import Literal

from nicegui.client import Client


def sentence(told: Exception | str) -> str:
    """Return an error as a screen says it: with a capital, unless it begins with a name."""
    text = str(told)
    begins = text.split(" ", 1)[0].rstrip(",;:")
    return text[:1].upper() + text[1:] if begins.isalpha() else text


def meanwhile(version: int) -> str:
    """Return what to tell somebody who saves over a version that they have not seen."""
    return f"Version {version} was saved meanwhile: reload the page to see it, or save again to put yours on top of it"


def go(client: Client, url: str | None, message: str) -> None:
    """Lead the page of ``client`` to ``url`` (None: draw it anew) and show ``message`` there."""
    client.run_javascript(f"dash.go({json.dumps(url)}, {json.dumps(message)})")


def toast(client: Client, message: str, kind: Literal["ok", "bad"] = "ok", more: str | None = None) -> None:
    """Show ``message`` on the page of ``client``; bad news stays until it is closed.

    ``more``: where the handbook explains it.
    """
    client.run_javascript(f"dash.toast({json.dumps(message)}, {json.dumps(kind)}, {json.dumps(more)})")
