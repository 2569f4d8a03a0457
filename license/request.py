"""The request code: an installation's name, short enough for the telephone, and hard to get wrong there.

16 characters of Crockford's base32 in groups of four, such as ``7KJQ-M8XD-0X3G-WQ8R``: 64 random bits that an
installation was given once, and 16 bits of SHA-256 over them. ``I`` and ``L`` are read as 1, ``O`` as 0, small letters
as capitals; hyphens and spaces are left out.
"""

from hashlib import sha256
from typing import Final

from license.errors import Damaged

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ: Final = {ord(written): meant for written, meant in {"I": "1", "L": "1", "O": "0", "-": None, " ": None}.items()}
_CHARACTERS: Final = 16
_ID_BYTES: Final = 8
_CHECK_BYTES: Final = 2


def code(installation: bytes) -> str:
    """Return the code of an installation's (8,) random bytes."""
    number = int.from_bytes(installation + _check(installation))
    characters = [_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_CHARACTERS))]
    return "-".join("".join(characters[at : at + 4]) for at in range(0, _CHARACTERS, 4))


def parse(text: str) -> str:
    """Return the code that somebody read out or typed, as ``code`` writes it.

    Raises:
        Damaged: it is none; the sentence says which group is wrong where that can be known.
    """
    typed = text.strip().upper().translate(_READ)
    for at, character in enumerate(typed[:_CHARACTERS]):
        if character not in _ALPHABET:
            raise Damaged(f"group {at // 4 + 1} of the request code has a {character!r}, which no code has", _AGAIN)
    if len(typed) != _CHARACTERS:
        raise Damaged(f"a request code has {_CHARACTERS} characters, and this has {len(typed)}", _AGAIN)
    number = 0
    for character in typed:
        number = number << 5 | _ALPHABET.index(character)
    installation, check = divmod(number, 1 << 8 * _CHECK_BYTES)
    found = installation.to_bytes(_ID_BYTES)
    if _check(found) != check.to_bytes(_CHECK_BYTES):
        raise Damaged("a character of the request code is wrong, or two are swapped", _AGAIN)
    return code(found)


_AGAIN: Final = "compare it with the one that 'dash-appliance license request' shows, group by group"


def _check(installation: bytes) -> bytes:
    if len(installation) != _ID_BYTES:
        raise ValueError(f"an installation is named by {_ID_BYTES} bytes, not {len(installation)}")
    return sha256(b"dash request code" + installation).digest()[:_CHECK_BYTES]
