"""Whose a name in the archive is: two machines that archived under one would overwrite each other.

A data directory has a secret of its own (``identity``), and ``owner.json`` in the archive says whose the name is, and
which node it was: the restored machine is that node again, and its events have the same numbers.
A restored machine takes the name over; the former one, should it still live, sees that and stops archiving.
"""

from pathlib import Path
from secrets import token_hex

import msgspec

from appliance.components.archive import ArchiveStore
from appliance.errors import ConfigError, Conflict, FatalError, NotFound, Problem
from appliance.storage.bronze.disk import write_new

OWNER = "owner.json"


class Identity(msgspec.Struct, frozen=True):
    """Under which ``name`` a data directory archives, and the ``token`` by which it knows its own archive."""

    name: str
    token: str


class _Owner(msgspec.Struct, frozen=True):
    token: str
    node: str | None = None


def identity(path: Path, wanted: str | None) -> Identity:
    """Return who a data directory is in the archive, as ``path`` says; made at the first call.

    ``wanted``: the name that the settings ask for; None: any.

    Raises:
        ConfigError: it has archived under another name already.
        FatalError: the file is not readable.
    """
    if not path.exists():
        made = Identity(wanted or f"dash-{token_hex(6)}", token_hex(16))
        write_new(path, msgspec.json.encode(made))
        return made
    try:
        known = msgspec.json.decode(path.read_bytes(), type=Identity)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = f"write the name under which this machine archived into it: {Identity('<name>', '<any text>')}"
        raise FatalError(f"opening {path}: it is not readable ({error})", hint=hint) from error
    if wanted not in (None, known.name):
        told = f"this data directory archives under the name {known.name!r}, and would not find under {wanted!r} what"
        hint = f"set it to {known.name!r}; to move an archive, rename its folder and the name in {path} while stopped"
        raise ConfigError([Problem("archive.name", f"{told} it has archived", hint=hint)])
    return known


class Claim:
    """The claim of one data directory to its name. ``node``: the id of the node that lives there, if it has one."""

    def __init__(self, store: ArchiveStore, who: Identity, node: str | None) -> None:
        self._store, self._who, self._node = store, who, node
        self._key = f"{who.name}/{OWNER}"

    def check(self) -> None:
        """Return if the name is ours; takes it if it is nobody's. Asked before anything is stored or removed.

        Raises:
            Conflict: it is somebody else's.
        """
        try:
            owner = self._owner()
        except NotFound:
            self._claim()
            owner = self._owner()
        if owner.token != self._who.token:
            raise Conflict(
                f"archiving to {self._store.place}/{self._who.name}: another installation archives under this name by "
                "now; give this one a name and a data directory of its own, or stop the other and restore from there"
            )

    def take(self) -> None:
        """Take the name, whoever has it: its machine is lost."""
        self._store.put(self._key, self._document())

    def node(self) -> str | None:
        """Return which node archives under the name; None: nobody does, or it did not say."""
        try:
            return self._owner().node
        except NotFound:
            return None

    def _claim(self) -> None:
        try:
            self._store.put(self._key, self._document(), only_new=True)
        except Conflict:
            return  # somebody was faster; whoever reads it next sees who

    def _owner(self) -> _Owner:
        content = b"".join(self._store.read(self._key))
        try:
            return msgspec.json.decode(content, type=_Owner)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _Owner("")

    def _document(self) -> bytes:
        return msgspec.json.encode(_Owner(self._who.token, self._node))
