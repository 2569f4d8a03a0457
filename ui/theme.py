"""Design tokens: the one palette (light and dark) and the one type scale, as CSS custom properties."""

from appliance.domain.accent import OWN, SURFACES

# name: (light, dark). Text on its surface has a contrast of at least 4.5 : 1 in both (tests/ui/test_ui_theme.py).
COLOURS: dict[str, tuple[str, str]] = {
    **SURFACES,
    "line": ("#e5e5e0", "#262a31"),
    "line-strong": ("#c9c9c2", "#3b414b"),
    "text": ("#17191e", "#eceef2"),
    "text-2": ("#4d525d", "#b0b6c2"),
    "text-3": ("#656a76", "#8f96a4"),
    "accent": (OWN, "#9db0ff"),
    "accent-fill": (OWN, "#4a63e0"),
    "accent-hover": ("#2743b5", "#5a72ea"),
    "accent-soft": ("#ebeffd", "#1d2340"),
    "on-accent": ("#ffffff", "#ffffff"),
    "ok": ("#0f6e46", "#55c992"),
    "ok-soft": ("#e3f4ec", "#14291f"),
    "warn": ("#855500", "#e6b450"),
    "warn-soft": ("#fbf1dc", "#2d2411"),
    "bad": ("#b3202a", "#ff9290"),
    "bad-soft": ("#fdeaea", "#351a1c"),
    "bad-fill": ("#b3202a", "#c23a41"),
    "stored": ("#239a6b", "#36a878"),
    "filtered": ("#a3a8b3", "#6b7280"),
    "duplicate": ("#7382ea", "#7b8af0"),
    "dead": ("#d8434b", "#e5565d"),
    "pending": ("#e0a62f", "#d9a23a"),
    "series-1": ("#2f4fd0", "#8ea4ff"),
    "series-2": ("#0c8a80", "#3fc1b5"),
    "series-3": ("#c2570c", "#f0975a"),
    "series-4": ("#8a3fd1", "#c493f5"),
    "series-5": ("#b0246a", "#f07fb2"),
    "series-6": ("#5d6775", "#9aa5b4"),
    "shadow": ("rgb(20 22 28 / 12%)", "rgb(0 0 0 / 55%)"),
}

# Steps of the type scale in px, with their line height.
TYPE: dict[str, tuple[int, int]] = {
    "xs": (11, 16),
    "s": (12, 18),
    "m": (13, 20),
    "l": (15, 22),
    "xl": (20, 28),
    "2xl": (28, 34),
}

FONT = '-apple-system, "Segoe UI Variable Text", "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif'
MONO = 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace'

MARK = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" aria-hidden="true">'
    '<rect width="24" height="24" rx="6" fill="#2f4fd0"/>'
    '<path d="M6 8h7M6 12h12M6 16h4" stroke="#fff" stroke-width="2.2" stroke-linecap="round"/>'
    '<circle cx="17.2" cy="8" r="1.5" fill="#9db0ff"/></svg>'
)

# Runs before the first paint, so that no page flashes in the wrong theme. Cookie: "<choice>.<theme in force>".
BOOT_SCRIPT = (
    "(()=>{const c=(document.cookie.match(/(?:^|; )dash_theme=(\\w+)/)||[])[1]||'auto';"
    "const d=c==='dark'||(c!=='light'&&matchMedia('(prefers-color-scheme: dark)').matches);"
    "const r=document.documentElement;r.dataset.choice=c;r.dataset.theme=d?'dark':'light';r.lang='en'})()"
)


def css() -> str:
    """Return the tokens as CSS: colours for both themes, sizes and font stacks."""
    light = "".join(f"--{name}:{pair[0]};" for name, pair in COLOURS.items())
    dark = "".join(f"--{name}:{pair[1]};" for name, pair in COLOURS.items())
    sizes = "".join(f"--t-{name}:{size}px/{height}px;--fs-{name}:{size}px;" for name, (size, height) in TYPE.items())
    return (
        f":root{{color-scheme:light;--font:{FONT};--mono:{MONO};{sizes}{light}}}"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}"
    )


def is_dark(cookie: str | None) -> bool:
    """Return whether the theme in force is dark, from the theme cookie; unknown counts as light."""
    return cookie is not None and cookie.rpartition(".")[2] == "dark"
