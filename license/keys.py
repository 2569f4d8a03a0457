"""Public keys that are pinned, and signatures by them.

Ed25519 as RFC 8032 has it. Keys of small order, for which anybody can sign, are refused where they are pinned.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from license.errors import Forged, UnknownKey

KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8
SIGNATURE_BYTES: Final = 64

_P: Final = 2**255 - 19
_SIGN: Final = 1 << 255

# y of the eight points whose order divides 8. Source: RFC 8032 5.1 for the curve; both encodings of 0 and 1 count.
_Y_OF_ORDER_8: Final = 2707385501144840649318225287225658788936804267575313519463743609750303402022
_SMALL_ORDER_Y: Final = frozenset({0, 1, _P - 1, _P, _P + 1, _Y_OF_ORDER_8, _P - _Y_OF_ORDER_8})


def key_id(public: bytes) -> bytes:
    """Return the (8,) bytes by which documents name a public key: the first of its SHA-256."""
    return sha256(public).digest()[:KEY_ID_BYTES]


class KeyRing:
    """The public keys that count, each of (32,) bytes. A new one is added long before an old one goes."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        """Raises ValueError: one of them is not a key with which only its holder can sign."""
        self._keys = {key_id(public): _checked(public) for public in keys}

    @property
    def names(self) -> list[str]:
        """Return the key ids in hex, sorted."""
        return sorted(name.hex() for name in self._keys)

    def __contains__(self, name: object) -> bool:
        return name in self._keys

    def verify(self, name: bytes, signature: bytes, message: bytes) -> None:
        """Return if the key called ``name`` signed ``message``.

        Raises:
            UnknownKey: it is not among these.
            Forged: it did not.
        """
        if name not in self._keys:
            raise UnknownKey(
                f"it is signed by key {name.hex()}, which this version does not know",
                "ask for a document for this version, or install the version it was made for",
            )
        try:
            self._keys[name].verify(signature, message)
        except InvalidSignature as error:
            raise Forged(
                "its signature is not right: it was changed after it was signed",
                "take the file as it was sent; if it is, report this to whoever issued it",
            ) from error


def _checked(public: bytes) -> Ed25519PublicKey:
    if len(public) != KEY_BYTES:
        raise ValueError(f"a public key has {KEY_BYTES} bytes, not {len(public)}")
    if int.from_bytes(public, "little") & ~_SIGN in _SMALL_ORDER_Y:
        raise ValueError(f"{public.hex()} is a key of small order: anybody can sign for it")
    return Ed25519PublicKey.from_public_bytes(public)
