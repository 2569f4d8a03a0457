"""How one setting is declared."""

from msgspec import Meta


def setting(description: str, *, least: str | None = None, most: str | None = None, kind: str | None = None) -> Meta:
    """Describe one setting. ``least`` and ``most`` are inclusive; ``kind``: one of those that ``declared`` parses, or
    None for what the type alone says."""
    return Meta(description=description, extra={"least": least, "most": most, "kind": kind})
