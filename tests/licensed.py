"""The appliance with the key ring of the tests, run as ``python -m tests.licensed``; and licences that it accepts."""

import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from license.document import Feature, License, Limits, Revocations
from license.envelope import Kind
from license.issue import sealed
from license.keys import KeyRing

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
RING = KeyRing([KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)])
EVERY_FEATURE = tuple(sorted(Feature))
UNLIMITED = Limits(organisations=None, users=None, pipelines=None, events_per_day=None, nodes=None)


def today() -> date:
    return datetime.now(UTC).date()


def issued(*, days: int = 365, key: Ed25519PrivateKey = KEY, **changed: Any) -> str:
    """Return a licence without limits, for any installation, that is valid for so many more days."""
    given: dict[str, Any] = {
        "id": "lic_tests", "customer": "Example Works", "edition": "Enterprise", "features": (), "limits": UNLIMITED,
        "issued_on": today(), "valid_from": date(2020, 1, 1), "valid_to": today() + timedelta(days=days),
        "maintenance_to": today() + timedelta(days=days), "installation": "any",
    }  # fmt: skip
    return sealed(Kind.LICENSE, License(**given | changed), key)


def listed(number: int, *licenses: str) -> str:
    """Return a revocation list."""
    return sealed(Kind.REVOCATIONS, Revocations(number=number, issued_on=today(), licenses=licenses), KEY)


if __name__ == "__main__":
    from appliance.__main__ import main

    sys.exit(main(RING))
