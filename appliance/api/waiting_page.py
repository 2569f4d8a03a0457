"""What a browser shows of a node that is not whole yet: why, and how far it is; it asks again by itself."""

from html import escape
from typing import Final

AGAIN_SECS: Final = 2
HEADERS: Final = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "retry-after": str(AGAIN_SECS),
    "x-content-type-options": "nosniff",
}
# Screens, with their styles, are not there yet: what is needed stands here, in the same colours.
_STYLE: Final = """
:root { color-scheme: light dark; --bg: #f6f6f4; --text: #17191e; --soft: #4d525d; --line: #c9c9c2; --fill: #2f4fd0 }
@media (prefers-color-scheme: dark) {
  :root { --bg: #0e0f12; --text: #eceef2; --soft: #b0b6c2; --line: #3b414b; --fill: #9db0ff }
}
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--bg); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif }
main { width: min(34rem, 100vw - 3rem) }
h1 { font-size: 20px; margin: 0 0 8px }
p { color: var(--soft); margin: 8px 0; overflow-wrap: anywhere }
progress { width: 100%; height: 8px; border: 0; border-radius: 4px; overflow: hidden; background: var(--line);
  accent-color: var(--fill) }
progress::-webkit-progress-bar { background: var(--line) }
progress::-webkit-progress-value { background: var(--fill) }
progress::-moz-progress-bar { background: var(--fill) }
"""
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{again}"><title>{title}</title><style>{style}</style></head>
<body><main><h1>{title}</h1>{bar}<p role="status">{told}</p>
<p>This page asks again by itself.</p></main></body></html>
"""
_BAR: Final = '<progress max="1" value="{share:.4f}" aria-label="How much is done">{share:.0%}</progress>'


def waiting_page(told: str, share: float | None) -> bytes:
    """Return the page. ``told``: why; ``share``: of the work that is done, None where there is nothing to measure."""
    title = "This appliance is not whole yet" if share is None else "This appliance is being moved"
    bar = "" if share is None else _BAR.format(share=share)
    sentence = f"{told[:1].upper()}{told[1:]}."
    return _PAGE.format(again=AGAIN_SECS, title=title, style=_STYLE, bar=bar, told=escape(sentence)).encode()
