"""Walking over a manifest to prove its chain, and what it says of each segment in the end."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from appliance.storage.bronze.manifest import read_lines
from appliance.storage.bronze.manifest_lines import (
    NO_LINK,
    Archived,
    Entry,
    Expiry,
    Line,
    Rewritten,
    decode,
    key_in,
    link_of,
    renewed,
)
from appliance.storage.bronze.segment import Key


class Chain:
    """``names``: segments in the order in which they closed; ``entries``: what the manifest says of each by now.

    ``former``: sums that a segment had before events in it were erased. ``newest``: key of the newest segment listed.
    """

    def __init__(self, path: Path) -> None:
        self.names: list[str] = []
        self.entries: dict[str, Entry] = {}
        self.former: dict[str, set[tuple[str, str]]] = {}
        self.files: dict[str, set[str]] = {}  # segment: sums of the file that were replaced on purpose
        self.newest: Key = (0, 0)
        self._path = path
        self._gone: Key = (0, 0)
        self._previous = NO_LINK
        self._count = 0  # lines read

    def read(self) -> Iterator[str]:
        """Read the lines that came since the last call; yield what is wrong with them."""
        for content in read_lines(self._path)[self._count :]:
            self._count += 1
            try:
                line = decode(content)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                yield f"line {self._count} is not readable ({error})"
                continue
            told = f"line {self._count} ({_subject(line)})"
            if line.link != link_of(content):
                yield f"{told} was changed"
            elif line.previous != self._previous:
                yield f"the chain is broken before {told}: a line is missing or was changed"
            self._previous = line.link
            yield from self._take(line, told)

    def expired(self, entry: Entry) -> bool:
        """Return whether ``entry`` was removed on purpose."""
        return entry.key <= self._gone

    def changed(self, entry: Entry) -> bool:
        """Return whether lines came since the last call of ``read`` that say something about ``entry``."""
        lines = read_lines(self._path)[self._count :]
        name = entry.name.encode()
        return any(name in line or line.startswith(b'{"expired":') for line in lines)

    def _take(self, line: Line, told: str) -> Iterator[str]:
        match line:
            case Entry():
                self.names.append(line.name)
                self.entries[line.name] = line
                self.newest = max(self.newest, line.key)
            case Expiry():
                self._gone = max(self._gone, key_in(line.expired))
            case Archived():
                noted = self.entries.get(line.archived)
                if noted is None or noted.packed_sha256 != line.packed_sha256:
                    yield f"{told} archives a file that the lines before it do not know"
            case Rewritten():
                known = self.entries.get(line.rewritten)
                if known is None:
                    yield f"{told} replaces a segment that is not listed"
                    return
                if line.was != (known.sha256, known.packed_sha256):
                    yield f"{told} replaces a segment that had other sums"
                if line.why == "erased":
                    self.former.setdefault(line.rewritten, set()).add(line.was)
                self.files.setdefault(line.rewritten, set()).add(line.was[1])
                self.entries[line.rewritten] = renewed(known, line)


def _subject(line: Line) -> str:
    match line:
        case Entry():
            return line.name
        case Rewritten():
            return line.rewritten
        case Archived():
            return line.archived
        case Expiry():
            return line.expired
