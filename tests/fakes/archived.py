"""A log with tiny segments that is archived to a folder, without threads, for tests of what goes where and when."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import zstandard

from appliance.components.archive import ArchiveStore
from appliance.domain.ids import PipelineId
from appliance.errors import TransientError
from appliance.storage.archive.folder import FolderArchive
from appliance.storage.bronze.archive.claim import Identity
from appliance.storage.bronze.archive.log_archive import Archiving, LogArchive
from appliance.storage.bronze.blockstore import Blockstore
from appliance.storage.bronze.keeper import Keeper
from appliance.storage.bronze.verify import Verification
from tests.fakes.segments import NOON, Hand, compact_all, open_log, options, packed

SECRET = b"agent-orange-4711"  # what must not be found any more once it was erased
WHO = Identity("here", "token-of-here")
SEGMENTS = ["1.jsonl.zst", "3.jsonl.zst", "5.jsonl.zst", "7.jsonl.zst", "9.jsonl.zst"]
ALL = [(n, b'{"n":%d,"who":"%b"}' % (n, SECRET if n not in (3, 4) else b"nobody")) for n in range(1, 11)]


class Gate:
    """A store that can be closed, and counts what is asked of it."""

    def __init__(self, store: ArchiveStore) -> None:
        self.store = store
        self.closed = False
        self.asked: list[tuple[str, str]] = []
        self.before: Callable[[str, str], None] = lambda doing, key: None

    @property
    def place(self) -> str:
        return self.store.place

    def put(self, key: str, content: Path | bytes, *, only_new: bool = False) -> None:
        self._pass("put", key)
        self.store.put(key, content, only_new=only_new)

    def read(self, key: str) -> Iterator[bytes]:
        self._pass("read", key)
        yield from self.store.read(key)

    def list(self, prefix: str) -> Any:
        self._pass("list", prefix)
        return self.store.list(prefix)

    def delete(self, keys: Any) -> None:
        for key in list(keys):
            self._pass("delete", key)
            self.store.delete([key])

    def _pass(self, doing: str, key: str) -> None:
        self.asked.append((doing, key.rpartition("/")[2]))
        self.before(doing, key)
        if self.closed:
            raise TransientError(f"archiving to {self.place}: no answer")


class Archived:
    """One pipeline, ``pl``, below ``folder``, and its archive beside it; both may be opened again."""

    def __init__(self, folder: Path, *, who: Identity = WHO, archive: Path | None = None, **terms: Any) -> None:
        self.root, self.hand = folder / "bronze", Hand()
        self.root.mkdir(parents=True, exist_ok=True)
        self.objects = archive or folder / "archive"
        self.objects.mkdir(exist_ok=True)
        self.gate = Gate(FolderArchive(self.objects))
        self.office = LogArchive(self.root, Archiving(store=self.gate, who=who, **terms), self.hand)
        self.log = open_log(self.root / "pl", self.hand, segment_bytes=1)
        self.office.attach(self.log)
        self.keeper = Keeper(self.log, options(self.hand), Blockstore())

    def fill(self, first: int = 0, hours: int = 5) -> None:
        """Receive two events an hour, a segment each hour, and compress what is closed."""
        for hour in range(first, first + hours):
            who = SECRET if hour != 1 else b"nobody"
            texts = [b'{"n":%d,"who":"%b"}' % (2 * hour + at, who) for at in (1, 2)]
            self.log.commit([packed(*texts, received_at=NOON + timedelta(hours=hour), delivery_id=f"d{hour}")])
        self.log.rotate()
        compact_all(self.log)

    def archive(self) -> str | None:
        """Make a round, and return what was in its way."""
        self.office.rounds.make()
        return self.office.rounds.trouble

    def here(self) -> list[str]:
        """Return the numbers in the names of the compressed segments on this disk."""
        return sorted(path.name.split(".")[0].lstrip("0") for path in self.log.directory.glob("*.zst"))

    def there(self) -> list[str]:
        """Return the names in the archive, without the zeros in front."""
        return sorted(path.name.lstrip("0") for path in (self.objects / "here" / "pl").glob("*"))

    def object(self, name: str) -> Path:
        """Return the path of the object that ends in ``name``, such as ``1.jsonl.zst``."""
        (found,) = [path for path in (self.objects / "here" / "pl").iterdir() if path.name.lstrip("0") == name]
        return found

    def close(self) -> None:
        self.office.rounds.stop()
        self.log.close()


def everything(folder: Path) -> bytes:
    """Return all bytes below ``folder``, compressed ones unpacked too."""
    found = b""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        found += content
        if content.startswith(b"\x28\xb5\x2f\xfd"):
            with zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True) as unpacked:
                found += unpacked.read()
    return found


def findings(one: Archived) -> list[str]:
    """Return what verify finds, each with the end of its segment's name."""
    found = Verification(PipelineId("pl"), one.log, one.keeper.corrections).findings()
    return [f"{finding.segment.lstrip('0')}: {finding.message}" for finding in found]
