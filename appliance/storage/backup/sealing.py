"""Sealing what leaves this machine: AES-256-GCM in chunks, each object with a key of its own (decision 0039).

A sealed object, byte for byte: ``DASHSEAL1\\n``, 32 bytes of salt, then chunks of 1 MiB and one of at most that, each
followed by its tag of 16 bytes. The key of an object is HKDF-SHA256 of the repository's key with that salt and the info
``dash backup object``; the nonce of a chunk is its number in 11 bytes, big-endian, then 1 for the last chunk and 0 for
any other; the additional data is the object's name. So nothing can be changed, cut short, reordered or exchanged.
"""

import hashlib
import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from typing import Annotated, Final, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Meta

from appliance.errors import ConfigError, FatalError, Problem

MAGIC: Final = b"DASHSEAL1\n"
SALT: Final = 32
CHUNK: Final = 1 << 20
TAG: Final = 16
_KEY: Final = 32
_NONCE: Final = 12


class Encryption(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the repository's key is sealed: by scrypt of the passphrase. Bounds keep a forged file from taking all memory
    (128 · n · r bytes)."""

    kdf: Literal["scrypt"] = "scrypt"
    n: Annotated[int, Meta(ge=1 << 14, le=1 << 20)] = 1 << 17
    r: Annotated[int, Meta(ge=8, le=8)] = 8
    p: Annotated[int, Meta(ge=1, le=4)] = 1
    salt: str
    sealed_key: str


class Sealer:
    """Seals with the key of one repository."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._naming = _derived(key, b"", b"dash backup names")

    @classmethod
    def make(cls, passphrase: bytes, repository_id: str) -> tuple["Sealer", Encryption]:
        """Return a sealer with a new key, and that key sealed with ``passphrase``."""
        key, salt, nonce = os.urandom(_KEY), os.urandom(SALT), os.urandom(_NONCE)
        draft = Encryption(salt=b64encode(salt).decode(), sealed_key="")
        sealed = nonce + AESGCM(_stretched(passphrase, draft)).encrypt(nonce, key, repository_id.encode())
        return cls(key), msgspec.structs.replace(draft, sealed_key=b64encode(sealed).decode())

    @classmethod
    def open(cls, passphrase: bytes, encryption: Encryption, repository_id: str) -> "Sealer":
        """Return the sealer of a repository.

        Raises:
            ConfigError: it is another passphrase, or what is stored was changed.
        """
        try:
            sealed = b64decode(encryption.sealed_key, validate=True)
            kek = _stretched(passphrase, encryption)
            return cls(AESGCM(kek).decrypt(sealed[:_NONCE], sealed[_NONCE:], repository_id.encode()))
        except (InvalidTag, ValueError) as error:
            told = "it does not open the repository: it is another passphrase, or dash-backup.json was changed"
            raise ConfigError([Problem("backup.passphrase_file", told, hint="use the one it was made with")]) from error

    def name(self, sha256: str) -> str:
        """Return under which name content with this sum is kept: one that tells nobody what it is."""
        return hmac.digest(self._naming, bytes.fromhex(sha256), hashlib.sha256).hex()

    def seal(self, name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the sealed object for ``pieces``, of whatever sizes."""
        salt = os.urandom(SALT)
        cipher = AESGCM(_derived(self._key, salt, b"dash backup object"))
        yield MAGIC + salt
        for number, (chunk, last) in enumerate(_chunks(pieces)):
            yield cipher.encrypt(_nonce(number, last=last), chunk, name.encode())

    def unseal(self, name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield what was sealed.

        Raises:
            FatalError: it is not as it was written, or another object.
        """
        content = _Reader(pieces)
        start = content.take(len(MAGIC) + SALT)
        if len(start) < len(MAGIC) + SALT or not start.startswith(MAGIC):
            raise _broken(name)
        cipher = AESGCM(_derived(self._key, start[len(MAGIC) :], b"dash backup object"))
        for number, (chunk, last) in enumerate(_chunks(content.rest(), CHUNK + TAG)):
            try:
                yield cipher.decrypt(_nonce(number, last=last), chunk, name.encode())
            except InvalidTag as error:
                raise _broken(name) from error


def sealed_size(size: int) -> int:
    """Return how large the sealed object of so many bytes is."""
    chunks = max(1, -(-size // CHUNK))
    return len(MAGIC) + SALT + size + chunks * TAG


class _Reader:
    """Bytes that come in pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces, self._left = iter(pieces), b""

    def take(self, size: int) -> bytes:
        while len(self._left) < size and (piece := next(self._pieces, b"")):
            self._left += piece
        taken, self._left = self._left[:size], self._left[size:]
        return taken

    def rest(self) -> Iterator[bytes]:
        yield self._left
        yield from self._pieces


def _chunks(pieces: Iterable[bytes], size: int = CHUNK) -> Iterator[tuple[bytes, bool]]:
    """Yield chunks of ``size``, and whether it is the last; that one may be shorter, and is empty only by itself."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) > size:
            yield bytes(held[:size]), False
            del held[:size]
    yield bytes(held), True


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(_NONCE - 1, "big") + (b"\x01" if last else b"\x00")


def _stretched(passphrase: bytes, by: Encryption) -> bytes:
    salt = b64decode(by.salt, validate=True)
    most = 256 * by.n * by.r
    return hashlib.scrypt(passphrase, salt=salt, n=by.n, r=by.r, p=by.p, maxmem=most, dklen=_KEY)


def _derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), _KEY, salt or None, info).derive(key)


def _broken(name: str) -> FatalError:
    return FatalError(
        f"reading {name} of the backup: it is not as it was written",
        hint="restore from another backup; 'dash-appliance backup verify' says which are whole",
    )
