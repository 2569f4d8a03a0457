"""Short messages about what an action did; drawn by ``static/toast.js`` in a live region."""

import json
from typing import Literal

from nicegui.client import Client


def toast(client: Client, message: str, kind: Literal["ok", "bad"] = "ok") -> None:
    """Show ``message`` on the page of ``client``; bad news stays until it is closed."""
    client.run_javascript(f"dash.toast({json.dumps(message)}, {json.dumps(kind)})")
