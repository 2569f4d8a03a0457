"""Whether a bundle is genuine, and unpacking one that is: nothing is written that its signed manifest does not name."""

import hashlib
import lzma
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.errors import RequestError
from appliance.release import signature
from appliance.release.manifest import FILE, FOLDER, Entry, Manifest, decoded

SIGNERS: Final = Path(__file__).with_name("signers")
_MOST_MANIFEST: Final = 8 << 20
_CHUNK: Final = 1 << 20
_AGAIN: Final = "carry it over again, with its signature, and compare SHA256SUMS"


class NotGenuine(RequestError):
    """A bundle that is not installed: damaged, unsigned, or signed by somebody else."""


def pinned() -> list[bytes]:
    """Return the public keys whose releases this one accepts; none, where it was built without."""
    return signature.public_keys(SIGNERS.read_text("utf-8").splitlines())


def verify(bundle: Path, signature_file: Path, keys: Iterable[bytes]) -> Manifest:
    """Return the manifest of ``bundle`` (``.tar.xz``) if one of ``keys``, (32,) bytes each, signed the whole file.

    Blocking, and as long as reading it takes: nothing of it is unpacked before its signature is known to be right.

    Raises:
        NotGenuine: it is not; the message says why and what to do.
    """
    known = list(keys)
    if not known:
        raise _refused(bundle, "this version was built without a key to check it by", "install releases by hand")
    try:
        if signature_file.stat().st_size > signature.MOST_BYTES:
            raise ValueError("it is too long to be one")
        found = signature.parse(signature_file.read_text("utf-8"))
    except OSError as error:
        raise _refused(signature_file, str(error.strerror), "give the .sig file that came with the bundle") from error
    except ValueError as error:
        raise _refused(signature_file, str(error), "give the .sig file that came with the bundle") from error
    if found.public not in known:
        raise _refused(bundle, "it is signed by a key that this version does not know", "ask whoever gave it to you")
    try:
        Ed25519PublicKey.from_public_bytes(found.public).verify(found.signature, found.signed(bundle))
    except InvalidSignature as error:
        raise _refused(bundle, "it is not the file that was signed", _AGAIN) from error
    except OSError as error:
        raise _refused(bundle, str(error.strerror), _AGAIN) from error
    return manifest_in(bundle)


def manifest_in(bundle: Path) -> Manifest:
    """Return the manifest in ``bundle``, whoever signed it.

    Raises:
        NotGenuine: there is none.
    """
    try:
        with tarfile.open(bundle, "r|xz") as archive:
            first = archive.next()
            if first is None or first.name != f"{FOLDER}/{FILE}" or not first.isreg() or first.size > _MOST_MANIFEST:
                raise ValueError("it does not begin as bundles of Dash do")
            content = archive.extractfile(first)
            return decoded(content.read() if content is not None else b"")
    except (OSError, EOFError, ValueError, tarfile.TarError, lzma.LZMAError) as error:
        raise _refused(bundle, f"its manifest cannot be read: {error}", _AGAIN) from error


def unpack(bundle: Path, manifest: Manifest, into: Path) -> None:
    """Write the files of ``manifest``, whole, and no others from ``bundle`` to the new directory ``into``. Blocking.

    What was written stays after an error; ``into`` is for the caller to remove.

    Raises:
        NotGenuine: the bundle holds something else.
        OSError: ``into`` is there already, cannot be written, or is full.
    """
    wanted = {entry.path: entry for entry in manifest.files}
    _make(into)
    try:
        with tarfile.open(bundle, "r|xz") as archive:
            for member in archive:
                _place(archive, member, wanted, into)
    except (EOFError, ValueError, tarfile.TarError, lzma.LZMAError) as error:
        raise _refused(bundle, str(error), _AGAIN) from error
    if wanted:
        raise _refused(bundle, f"{len(wanted)} of its files are missing, such as {min(wanted)!r}", _AGAIN)


def _place(archive: tarfile.TarFile, member: tarfile.TarInfo, wanted: dict[str, Entry], into: Path) -> None:
    """Write one member and strike it from ``wanted``. Directories are made as files need them, links only at last."""
    path = member.name.removeprefix(f"{FOLDER}/")
    if member.isdir():
        return
    if path == FILE and member.isreg():
        content = archive.extractfile(member)
        (into / FILE).write_bytes(content.read(_MOST_MANIFEST) if content is not None else b"")
        (into / FILE).chmod(0o644)
        return
    entry = wanted.pop(path, None)
    if entry is None or (bool(entry.link), entry.link) != (member.issym(), member.linkname):
        raise ValueError(f"it holds {member.name!r}, which its manifest does not name so")
    target = into / path
    for folder in reversed(Path(path).parents[:-1]):
        if (into / folder).is_symlink():
            raise ValueError(f"{member.name!r} would lie behind a link")
        if not (into / folder).exists():
            _make(into / folder)
    if entry.link:
        target.symlink_to(entry.link)
        return
    content = archive.extractfile(member) if member.isreg() else None
    if content is None or member.size != entry.size:
        raise ValueError(f"{member.name!r} is not the file that its manifest names")
    _copy(content, entry, target)


def _make(folder: Path) -> None:
    """The service reads what root unpacks, however much root's umask takes away."""
    folder.mkdir()
    folder.chmod(0o755)


def _copy(content: IO[bytes], entry: Entry, target: Path) -> None:
    digest = hashlib.sha256()
    mode = 0o755 if entry.runs else 0o644
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        os.fchmod(out.fileno(), mode)
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    if digest.hexdigest() != entry.sha256:
        raise ValueError(f"{entry.path!r} is not the file that its manifest names")


def _refused(what: Path, why: str, remedy: str) -> NotGenuine:
    return NotGenuine(f"checking the release {what.name!r}: {why}; {remedy}")
