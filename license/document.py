"""What a licence and a revocation list say, and their one way of saying it in bytes."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from license.errors import Damaged

ANY: Final = "any"

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Count = Annotated[int, Meta(ge=0)]


class Feature(StrEnum):
    """What a licence may allow beyond what everybody may. A licence may name ones that this version does not know."""

    WHITE_LABEL = "white_label"
    ENTERPRISE_SIGN_IN = "enterprise_sign_in"


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many there may be; None: as many as one likes. ``events_per_day``: received, over all pipelines."""

    organisations: Count | None
    users: Count | None
    pipelines: Count | None
    events_per_day: Count | None
    nodes: Count | None


class License(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``valid_to`` and ``maintenance_to``: the last day, in UTC. ``installation``: a request code, or ``any``.

    ``maintenance_to``: versions of Dash that were released up to this day may be installed.
    """

    id: Name
    customer: Name
    edition: Name
    features: tuple[Name, ...]
    limits: Limits
    issued_on: date
    valid_from: date
    valid_to: date
    maintenance_to: date
    installation: Name

    def __post_init__(self) -> None:
        if self.valid_to < self.valid_from:
            raise ValueError("valid_to is before valid_from")
        if list(self.features) != sorted(set(self.features)):
            raise ValueError("features are not sorted, or one is named twice")


class Revocations(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Licences that were taken back. ``number``: a list replaces those with a smaller one."""

    number: Count
    issued_on: date
    licenses: tuple[Name, ...]


Content = TypeVar("Content", License, Revocations)


def encoded(content: License | Revocations) -> bytes:
    """Return the one encoding of ``content``."""
    return msgspec.json.encode(content, order="sorted")


def decoded(content: bytes, kind: type[Content]) -> Content:
    """Read a content whose signature was found right.

    Raises:
        Damaged: it is not the encoding of one; who signed it made a mistake.
    """
    try:
        found = msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"what it says cannot be read: {error}", "ask whoever issued it for another") from error
    if encoded(found) != content:
        raise Damaged("what it says is written in another order, or twice", "ask whoever issued it for another")
    return found
