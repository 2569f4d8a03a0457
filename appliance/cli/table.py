"""Rows as text: columns as wide as they need to be, the last one as long as it is."""

from collections.abc import Sequence

import click


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> None:
    """Print ``rows`` below ``heads``; without any, the sentence ``nothing``."""
    if not rows:
        click.echo(nothing)
        return
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads))]
    for row in (heads, *rows):
        line = "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def said(text: str | None) -> str:
    """Return ``text`` on one line, a dash for nothing."""
    return " ".join(text.split()) if text else "-"
