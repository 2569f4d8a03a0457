"""Buttons below a long list: the next page of it, and the first again."""

from collections.abc import Awaitable, Callable
from typing import Final

from appliance.domain.access import Principal
from ui.markup import button, node, on
from ui.session import Visit

ROWS: Final = 100  # drawn at once: each is a score of elements, and drawing keeps everybody else waiting


class Pager:
    """Where in a list a page stands. ``draw``: draws the page anew."""

    def __init__(self, visit: Visit, draw: Callable[[], Awaitable[None]]) -> None:
        self._visit, self._draw = visit, draw
        self.cursor: str | None = None  # None: at the beginning

    def buttons(self, following: str | None) -> None:
        """Draw the buttons; nothing where all is on one page. ``following``: the cursor of the next page."""
        if self.cursor is None and following is None:
            return
        with node("div", css="row end"):
            if self.cursor is not None:
                first = button("First page", "small")
                on(first, "click", self._visit.act(self._to(None), busy=first))
            if following is not None:
                more = button(f"Next {ROWS}", "small")
                on(more, "click", self._visit.act(self._to(following), busy=more))

    def _to(self, cursor: str | None) -> Callable[[Principal], Awaitable[None]]:
        async def turned(_: Principal) -> None:
            self.cursor = cursor
            await self._draw()

        return turned
