"""Where the compressed segments of a pipeline lie, for whoever reads them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from appliance.storage.bronze.manifest_lines import Entry


class Shelf:
    """In the pipeline's directory, and nowhere else. See ``archive.shelf`` for one that is filled from an archive."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextmanager
    def lend(self, entry: Entry) -> Iterator[Path]:
        """Give the file of a segment; it is there, and stays, until the end of the ``with`` if it is anywhere.

        Raises:
            Damaged: it is elsewhere, and not as it was written.
            TransientError: it is elsewhere, and that cannot be reached.
        """
        yield self.directory / entry.name

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
