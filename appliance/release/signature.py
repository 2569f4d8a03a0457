"""Detached signatures as ``ssh-keygen -Y sign`` makes them, by Ed25519 keys.

An administrator proves the same file with ``ssh-keygen -Y verify``, which every server has.

Source: OpenSSH, PROTOCOL.sshsig for the file; RFC 8709 for the key and signature inside; RFC 4251 5 for ``string``.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

NAMESPACE: Final = "dash-release"  # what a signature is for: one made for anything else does not count here
MOST_BYTES: Final = 1 << 16
_ALGORITHM: Final = b"ssh-ed25519"
_MAGIC: Final = b"SSHSIG"
_HASHES: Final = {b"sha512": "sha512", b"sha256": "sha256"}
_CHUNK: Final = 1 << 20


class Signature(NamedTuple):
    """A signature that is read and not yet checked: the key it names, and what it signs beside the file's hash."""

    public: bytes
    hash_name: bytes
    signature: bytes

    def signed(self, file: Path) -> bytes:
        """Return what the key signed if ``file`` is the one that was signed. Blocking: reads it once."""
        digest = hashlib.new(_HASHES[self.hash_name])
        with file.open("rb") as content:
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
        parts = (NAMESPACE.encode(), b"", self.hash_name, digest.digest())
        return _MAGIC + b"".join(map(_string, parts))


def parse(text: str) -> Signature:
    """Read the one signature in ``text``.

    Raises:
        ValueError: it is not one, or not one of ours; the message says which in half a sentence.
    """
    found = re.findall(r"-----BEGIN SSH SIGNATURE-----\s(.*?)\s-----END SSH SIGNATURE-----", text, re.DOTALL)
    if len(found) != 1:
        raise ValueError("it is no signature as ssh-keygen makes them")
    try:
        blob = base64.b64decode(re.sub(r"\s+", "", found[0]), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("characters are missing from it, or were changed") from error
    if blob[: len(_MAGIC)] != _MAGIC or blob[len(_MAGIC) :][:4] != (1).to_bytes(4):
        raise ValueError("it is written in a way that this version does not know")
    public, namespace, reserved, hash_name, signature = _strings(blob[len(_MAGIC) + 4 :], 5)
    if namespace != NAMESPACE.encode() or reserved:
        raise ValueError(f"it was made for {namespace.decode('utf-8', 'replace')!r}, not for {NAMESPACE!r}")
    if hash_name not in _HASHES:
        raise ValueError("it hashes in a way that this version does not know")
    return Signature(_of_ed25519(public, 32), hash_name, _of_ed25519(signature, 64))


def public_keys(lines: Iterable[str]) -> list[bytes]:
    """Return the (32,) bytes of each key in ``lines`` of an allowed-signers file; comments do not count.

    Raises:
        ValueError: a line has no Ed25519 key.
    """
    keys = []
    for line in lines:
        if line.strip() and not line.startswith("#"):
            found = re.search(r"(?:^|\s)ssh-ed25519 ([A-Za-z0-9+/=]+)", line)
            if found is None:
                raise ValueError(f"there is no ssh-ed25519 key in the line {line.strip()!r}")
            keys.append(_of_ed25519(base64.b64decode(found[1], validate=True), 32))
    return keys


def _of_ed25519(blob: bytes, size: int) -> bytes:
    algorithm, value = _strings(blob, 2)
    if algorithm != _ALGORITHM or len(value) != size:
        raise ValueError("it is of another kind than ssh-ed25519")
    return value


def _string(value: bytes) -> bytes:
    return len(value).to_bytes(4) + value


def _strings(blob: bytes, count: int) -> list[bytes]:
    """Return exactly ``count`` strings, which are all that ``blob`` holds."""
    found, at = [], 0
    for _ in range(count):
        length = int.from_bytes(blob[at : at + 4])
        value = blob[at + 4 : at + 4 + length]
        if len(blob) < at + 4 or len(value) != length:
            raise ValueError("it ends too early")
        found.append(value)
        at += 4 + length
    if at != len(blob):
        raise ValueError("there is something behind its end")
    return found
