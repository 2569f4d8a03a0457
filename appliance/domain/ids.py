"""Identifiers: a prefix that says what it names, then 26 characters that sort by time of making."""

import secrets
import time
from typing import NewType

OrganisationId = NewType("OrganisationId", str)
PipelineId = NewType("PipelineId", str)
UserId = NewType("UserId", str)
TokenId = NewType("TokenId", str)
DashboardId = NewType("DashboardId", str)
NodeId = NewType("NodeId", str)
ProviderId = NewType("ProviderId", str)
IdentityId = NewType("IdentityId", str)

NOWHERE = NodeId("")  # where nodes do not matter

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case


def new_id(prefix: str) -> str:
    """Return ``prefix_`` and a ULID in lower case: 48 bits of milliseconds, 80 random bits.

    Source: the ULID specification, https://github.com/ulid/spec.
    """
    number = (time.time_ns() // 1_000_000 << 80) | secrets.randbits(80)
    return f"{prefix}_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
