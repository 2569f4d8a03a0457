"""Serve the screens on made-up data, to look at them: ``python tests/fakes/serve_screens.py PORT [fresh]``."""

import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

import uvicorn  # noqa: E402
from services import Fake, feed  # noqa: E402
from starlette.websockets import WebSocket  # noqa: E402

from ui.mount import build_ui  # noqa: E402

fake = Fake(fresh="fresh" in sys.argv)
shell = build_ui(
    fake.as_services(), storage_path=Path(tempfile.mkdtemp()), data_dir=Path("/var/lib/dash-appliance"), version="0.1.0"
)


async def serve_feed(websocket: WebSocket) -> None:
    await feed(fake, websocket)


async def ready() -> dict[str, str]:
    return {"status": "ready"}


shell.router.routes.insert(0, __import__("starlette.routing").routing.WebSocketRoute("/api/v1/feed", serve_feed))
shell.add_api_route("/readyz", ready)
shell.router.routes.insert(0, shell.router.routes.pop())
uvicorn.run(shell, port=int(sys.argv[1]), log_level="warning")
