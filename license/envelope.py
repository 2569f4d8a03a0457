"""How a signed document lies in bytes and in text.

Bytes, numbers big-endian:

====== ===== ==================================================================
offset bytes what
====== ===== ==================================================================
0      4     ``DASH``
4      1     kind: ``L`` a licence, ``R`` a revocation list
5      1     version of this layout: 1
6      8     key id: the first bytes of SHA-256 of the public key
14     4     n: length of the content
18     n     content: JSON in UTF-8, keys sorted, no white space, nothing twice
18 + n 64    Ed25519 signature (RFC 8032) of everything before it
====== ===== ==================================================================

Text: these bytes in base64 (RFC 4648, section 4, padded) between a line ``-----BEGIN DASH LICENSE-----`` and a line
``-----END DASH LICENSE-----`` (for a list ``REVOCATIONS``). White space inside counts for nothing, and what stands
before and after, such as a mail, is not looked at.
"""

import base64
import re
from enum import Enum
from typing import Final, NamedTuple

from license.errors import Damaged
from license.keys import KEY_ID_BYTES, SIGNATURE_BYTES, KeyRing

MAGIC: Final = b"DASH"
VERSION: Final = 1
MOST_BYTES: Final = 1 << 20  # of a text: longer ones are not looked at
_LINE: Final = 64
_HEAD: Final = len(MAGIC) + 2 + KEY_ID_BYTES
_CONTENT_AT: Final = _HEAD + 4
_AGAIN: Final = "copy it again, from the line that begins with -----BEGIN to the one that begins with -----END"


class Kind(Enum):
    LICENSE = b"L"
    REVOCATIONS = b"R"


_NAMES: Final = {Kind.LICENSE: "licence", Kind.REVOCATIONS: "revocation list"}


class Sealed(NamedTuple):
    """A document whose signature is not yet looked at."""

    key_id: bytes
    content: bytes
    signed: bytes
    signature: bytes

    def opened(self, ring: KeyRing) -> bytes:
        """Return the content if a key of ``ring`` signed it. Raises what ``KeyRing.verify`` does."""
        ring.verify(self.key_id, self.signature, self.signed)
        return self.content


def unsigned(kind: Kind, key_id: bytes, content: bytes) -> bytes:
    """Return what is signed: everything but the signature."""
    return b"".join((MAGIC, kind.value, bytes([VERSION]), key_id, len(content).to_bytes(4), content))


def armoured(kind: Kind, document: bytes) -> str:
    """Return the text of a whole document."""
    encoded = base64.b64encode(document).decode()
    lines = [encoded[at : at + _LINE] for at in range(0, len(encoded), _LINE)]
    return "\n".join((f"-----BEGIN DASH {kind.name}-----", *lines, f"-----END DASH {kind.name}-----", ""))


def parse(kind: Kind, text: str) -> Sealed:
    """Read the one document of ``kind`` in ``text``; its signature is not looked at.

    Raises:
        Damaged: there is none, or more than one, or it is not whole.
    """
    document = _bytes_in(kind, text)
    if document[: len(MAGIC)] != MAGIC:
        raise Damaged("it does not begin as documents of Dash do", _AGAIN)
    if len(document) < _CONTENT_AT + SIGNATURE_BYTES:
        raise Damaged(f"it ends after {len(document)} bytes, which is too early", _AGAIN)
    if document[4:5] != kind.value:
        raise Damaged(f"it is another document, not a {kind.name.lower()}", "give the file that was asked for")
    if document[5] != VERSION:
        told = f"it is written in layout {document[5]}, and this version reads layout {VERSION}"
        raise Damaged(told, "install the version of Dash that it was made for, or ask for one for this version")
    past = len(document) - SIGNATURE_BYTES
    length = int.from_bytes(document[_HEAD:_CONTENT_AT])
    if length != past - _CONTENT_AT:
        raise Damaged(f"its content should have {length} bytes and has {past - _CONTENT_AT}", _AGAIN)
    return Sealed(document[6:_HEAD], document[_CONTENT_AT:past], document[:past], document[past:])


def _bytes_in(kind: Kind, text: str) -> bytes:
    if len(text) > MOST_BYTES:
        raise Damaged(f"this is {len(text):,} characters long, and no document of Dash is", "give the file itself")
    found = re.findall(rf"-----BEGIN DASH {kind.name}-----(.*?)-----END DASH {kind.name}-----", text, re.DOTALL)
    if len(found) != 1:
        if found:
            raise Damaged("there is more than one document in it", "give one at a time")
        begun = f"-----BEGIN DASH {kind.name}-----" in text
        raise Damaged("its end is missing" if begun else f"there is no {_NAMES[kind]} in it", _AGAIN)
    packed = re.sub(r"\s+", "", found[0])
    try:
        document = base64.b64decode(packed, validate=True)
    except ValueError as error:  # also of characters that are not ASCII
        raise Damaged("characters are missing from it, or were changed", _AGAIN) from error
    if base64.b64encode(document).decode() != packed:  # spare bits of the last character
        raise Damaged("its last characters were changed", _AGAIN)
    return document
