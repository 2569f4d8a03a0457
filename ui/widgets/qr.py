"""A short text as a QR code, drawn here: whoever scans it needs no network, and neither does the page."""

from nicegui import ui
from nicegui.element import Element

from ui.markup import dress

_QUIET = 4  # modules of margin that readers need


def qr(text: str, label: str) -> Element:
    """Draw ``text`` in modules of one unit, black on white in any theme; ``label``: what it is, for screen readers."""
    import segno

    matrix = [list(row) for row in segno.make_qr(text, error="m").matrix]
    path = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(matrix) for x, dark in enumerate(row) if dark)
    size = len(matrix) + 2 * _QUIET
    box = f"-{_QUIET} -{_QUIET} {size} {size}"
    svg = (
        f'<svg viewBox="{box}" shape-rendering="crispEdges"><path fill="#fff" d="M-{_QUIET} -{_QUIET}h{size}v{size}'
        f'h-{size}z"/><path fill="#000" d="{path}"/></svg>'
    )
    return dress(ui.html(svg, sanitize=False), "qr", {"role": "img", "aria_label": label})
