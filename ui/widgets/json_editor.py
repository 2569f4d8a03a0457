"""A JSON document in a code editor; problems are marked on the line they are about."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from appliance.errors import Problem
from ui.documents import line_of, pretty
from ui.session import Visit
from ui.theme import is_dark


class JsonEditor:
    """Holds text; ``read`` gives the document or the one problem that keeps it from being one."""

    def __init__(
        self, visit: Visit, changed: Callable[[ValueChangeEventArguments[str]], None], *, editable: bool = True
    ) -> None:
        dark = is_dark(visit.request.cookies.get("dash_theme"))
        self._editor = ui.codemirror(
            "", on_change=changed, language="JSON", theme="githubDark" if dark else "githubLight", indent="  "
        )
        self._editor.set_enabled(editable)

    def show(self, document: Any) -> None:
        """Replace the text by ``document``."""
        self._editor.decorations = []
        self._editor.value = pretty(document)

    def read(self) -> dict[str, Any] | Problem:
        """Return the document as typed."""
        text = self._editor.value or ""
        try:
            document = json.loads(text)
        except ValueError as error:
            return Problem("", f"This is not JSON yet: {error}")
        return document if isinstance(document, dict) else Problem("", "The document must be a JSON object: { … }")

    def tell(self, problems: Sequence[Problem]) -> None:
        """Mark the line of each problem. Pointers may begin with /mapping where only the mapping is edited."""
        text, document = self._editor.value or "", self.read()
        lines: dict[int, str] = {}
        if not isinstance(document, Problem):
            for problem in problems:
                pointer = problem.pointer
                if "mapping" not in document:
                    pointer = pointer.removeprefix("/mapping")
                line = line_of(text, pointer)
                lines[line] = "; ".join(filter(None, (lines.get(line), problem.message)))
        self._editor.decorations = [{"kind": "line", "line": line, "class": "cm-problem"} for line in sorted(lines)]
        self._editor.line_tooltips = lines
