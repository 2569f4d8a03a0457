"""Where the compressed segments of a pipeline lie, for whoever reads them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from appliance.errors import TransientError
from appliance.storage.bronze.manifest import Manifest
from appliance.storage.bronze.manifest_lines import Entry

_RETRY_SECS = 30.0


class Shelf:
    """In the pipeline's directory, and nowhere else. See ``archive.shelf`` for one that is filled from an archive."""

    def __init__(self, directory: Path, manifest: Manifest) -> None:
        self.directory = directory
        self._manifest = manifest

    @contextmanager
    def lend(self, entry: Entry) -> Iterator[Path]:
        """Give the file of a segment; it is there, and stays, until the end of the ``with`` if it is anywhere.

        Raises:
            Damaged: it is elsewhere, and not as it was written.
            TransientError: it is elsewhere, and that cannot be reached.
        """
        path = self.directory / entry.name
        if not path.exists() and self._manifest.is_archived(entry):
            told = f"reading {entry.name} of {self.directory.name}: it is in an archive, and archive.url is not set"
            raise TransientError(told, _RETRY_SECS)
        yield path

    def renew(self, entry: Entry) -> bool:
        """Put a sound copy in the place of a damaged file, if there is one; return whether that was done."""
        return False

    def elsewhere(self, entries: Sequence[Entry]) -> int:
        """Return the bytes of these segments that lie elsewhere only."""
        return 0

    def erased(self, seqs: Sequence[int]) -> None:
        """Return when what was erased from the files is erased elsewhere as well.

        Raises:
            TransientError: it is not; the same call again goes on.
        """

    def changed(self) -> None:
        """Hear that the manifest or the corrections have changed."""
