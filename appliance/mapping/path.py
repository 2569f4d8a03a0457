"""JSONPath as far as mappings need it: ``$``, ``.name``, ``["name"]``, ``['name']``, ``[n]``.

A path is compiled to an RFC 6901 JSON pointer, which DuckDB takes for any key whatever characters it has. Wildcards,
slices and filters would make one value into many; ``explode`` is the one way to do that.
"""

import re
from dataclasses import dataclass

_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]*\s"'`]+)            # .name
      | \[\s*"(?P<double>(?:[^"\\]|\\.)*)"\s*\]  # ["name"]
      | \[\s*'(?P<single>(?:[^'\\]|\\.)*)'\s*\]  # ['name']
      | \[\s*(?P<index>\d{1,9})\s*\]             # [n]
    """,
    re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_LONGEST = 1_000
_DEEPEST = 32


class PathError(ValueError):
    """The text is no path; the message says where and what would be one."""


@dataclass(frozen=True)
class Path:
    """Keys (str) and places in arrays (int), from the root; empty for ``$``."""

    steps: tuple[str | int, ...] = ()

    @property
    def pointer(self) -> str:
        return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in self.steps)

    def __str__(self) -> str:
        return "$" + "".join(f"[{step}]" if isinstance(step, int) else _named(step) for step in self.steps)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the keys before the first place in an array."""
        cut = next((at for at, step in enumerate(self.steps) if isinstance(step, int)), len(self.steps))
        return tuple(str(step) for step in self.steps[:cut])

    def below(self, ancestor: "Path") -> "Path | None":
        """Return what is left of this path under ``ancestor``; None where it does not lead through it."""
        length = len(ancestor.steps)
        return Path(self.steps[length:]) if self.steps[:length] == ancestor.steps else None


def parse_path(text: str) -> Path:
    """Return the path that ``text`` writes.

    Raises:
        PathError: ``text`` is no path of the subset.
    """
    if len(text) > _LONGEST:
        raise PathError(f"the path is {len(text):,} characters long and at most {_LONGEST:,} are allowed")
    if any(ord(char) < 32 or 0xD800 <= ord(char) <= 0xDFFF for char in text):
        raise PathError(f"the path {text!r} holds a control character or half a surrogate pair")
    if not text.startswith("$"):
        near = "$." + (text.lstrip(".") or "name")
        raise PathError(f"the path {text!r} must begin with '$', the event itself, as in {near!r}")
    steps: list[str | int] = []
    at = 1
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise PathError(_trouble(text, at))
        steps.append(_step(match))
        at = match.end()
    if len(steps) > _DEEPEST:
        raise PathError(f"the path goes {len(steps)} levels deep and at most {_DEEPEST} are allowed")
    return Path(tuple(steps))


def _named(key: str) -> str:
    return f".{key}" if _STEP.fullmatch(f".{key}") else '["' + re.sub(r'(["\\\\])', r"\\\1", key) + '"]'


def _step(match: re.Match[str]) -> str | int:
    if match["index"] is not None:
        return int(match["index"])
    if match["name"] is not None:
        return match["name"]
    quoted = match["double"] if match["double"] is not None else match["single"]
    return _ESCAPED.sub(r"\1", quoted)


def _trouble(text: str, at: int) -> str:
    rest = text[at:]
    where = f"the path {text!r} cannot be read from character {at + 1} ({rest[:20]!r}) on"
    if rest.startswith(("..", "[*]", ".*", "[?", "[:")) or re.match(r"\[-?\d*:", rest):
        return f"{where}: wildcards, slices and filters are not allowed, use 'explode' to make rows of an array"
    if rest.startswith("[-"):
        return f"{where}: a place in an array is counted from 0 at its beginning"
    return f'{where}: write .name, ["any name"] or [0]'
