"""Documents for the tests of licences, by a key that is known to nobody else."""

from datetime import date
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from license import envelope
from license.document import License, Limits, Revocations
from license.envelope import Kind
from license.issue import sealed
from license.keys import KeyRing, key_id

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
RING = KeyRing([PUBLIC])
MANY = Limits(organisations=3, users=50, pipelines=None, events_per_day=None, nodes=2)
FIRST, LAST = date(2027, 1, 1), date(2027, 12, 31)


def license(**changed: Any) -> License:
    given: dict[str, Any] = {
        "id": "lic_00112233", "customer": "Wärme & Söhne", "edition": "Team", "features": ("white_label",),
        "limits": MANY, "issued_on": date(2026, 12, 1), "valid_from": FIRST, "valid_to": LAST,
        "maintenance_to": LAST, "installation": "any",
    }  # fmt: skip
    return License(**{**given, **changed})


def issued(**changed: Any) -> str:
    return sealed(Kind.LICENSE, license(**changed), KEY)


def listed(number: int, *licenses: str) -> str:
    return sealed(Kind.REVOCATIONS, Revocations(number=number, issued_on=FIRST, licenses=licenses), KEY)


def signed(content: bytes, kind: Kind = Kind.LICENSE) -> str:
    """Return a document whose signature is right, whatever it says."""
    document = envelope.unsigned(kind, key_id(PUBLIC), content)
    return envelope.armoured(kind, document + KEY.sign(document))
