"""What tests of the screens share: where Chromium is, what a page must not do, signing in, pictures."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page

from tests.programs import chromium
from tests.running import EMAIL, PASSWORD

CHROMIUM = chromium()
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENSHOTS = Path(__file__).parents[2] / "artefacts" / "screenshots"
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


class Watch:
    """What a context did that it must not: requests to elsewhere, scripts that failed."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.foreign: list[str] = []
        self.errors: list[str] = []
        self.requests = 0
        self._host = urlsplit(origin).netloc
        context.on("request", lambda request: self._seen(request.url))
        context.on("page", self._page)

    def _page(self, page: Page) -> None:
        page.on("websocket", lambda socket: self._seen(socket.url))
        page.on("pageerror", lambda error: self.errors.append(f"{page.url}: {error}"))
        page.on("console", lambda line: self._said(page, line.type, line.text))

    def _seen(self, url: str) -> None:
        parts = urlsplit(url)
        self.requests += 1
        if parts.scheme not in ("data", "blob") and parts.netloc != self._host:
            self.foreign.append(url)

    def _said(self, page: Page, kind: str, text: str) -> None:
        # Expected: a 401, 404 or 422 that a test provokes, and an appliance that is restarted.
        expected = "Failed to load resource" in text or "ERR_CONNECTION_REFUSED" in text
        if kind == "error" and not expected:
            self.errors.append(f"{page.url}: {text}")


Opens = Callable[..., Page]


def sign_in(page: Page) -> None:
    """Fill in the sign-in form by keyboard."""
    page.wait_for_selector("[name=email]:focus")
    page.keyboard.type(EMAIL)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")


def shoot(page: Page, name: str) -> None:
    """Keep a picture of the page as an artefact."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
