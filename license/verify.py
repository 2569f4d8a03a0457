"""Whether a document is accepted here and today: every reason against it has an error of its own."""

from datetime import date

import msgspec

from license import envelope
from license.document import ANY, License, Revocations, decoded
from license.envelope import Kind
from license.errors import Damaged, Expired, Foreign, Revoked, TooEarly
from license.keys import KeyRing


class Here(msgspec.Struct, frozen=True):
    """Where a licence is to count: ``installation`` is its request code; ``revoked`` names licences."""

    installation: str
    today: date
    revoked: frozenset[str] = frozenset()


def read(text: str, ring: KeyRing) -> License:
    """Return the licence in ``text`` if a key of ``ring`` signed it, whether or not it counts here and today.

    Raises:
        Damaged, UnknownKey, Forged: it is not one.
    """
    return decoded(envelope.parse(Kind.LICENSE, text).opened(ring), License)


def accept(text: str, ring: KeyRing, here: Here) -> License:
    """Return the licence in ``text`` if it may be installed here today.

    Raises:
        LicenseError: it may not; see ``license.errors``.
    """
    license = held(text, ring, here)
    if here.today < license.valid_from:
        raise TooEarly(
            f"it is valid from {license.valid_from} on, and today is {here.today}",
            "install it on that day; if today is another day, set the clock of this machine",
        )
    if here.today > license.valid_to:
        raise Expired(
            f"it was valid until {license.valid_to}, and today is {here.today}",
            "ask for a new one; if today is another day, set the clock of this machine",
        )
    return license


def held(text: str, ring: KeyRing, here: Here) -> License:
    """Return the licence in ``text``, which was installed here before, whatever day it is: ``outlook`` says the rest.

    Raises:
        Damaged, UnknownKey, Forged: it is none.
        Revoked, Foreign: it does not count here.
    """
    license = read(text, ring)
    if license.id in here.revoked:
        raise Revoked(
            f"licence {license.id} of {license.customer} was taken back",
            "ask whoever issued it for the one that replaces it",
        )
    if license.installation not in (ANY, here.installation):
        raise Foreign(
            f"it is for installation {license.installation}, and this one is {here.installation}",
            "ask for one for this installation: 'dash-appliance license request' shows the code to send",
        )
    return license


def revocations(text: str, ring: KeyRing, former: Revocations | None = None) -> Revocations:
    """Return the revocation list in ``text``, which is to replace ``former``.

    Raises:
        Damaged: it is older than that, or not whole.
        UnknownKey, Forged: it is not one.
    """
    found = decoded(envelope.parse(Kind.REVOCATIONS, text).opened(ring), Revocations)
    if former is not None and found.number < former.number:
        told = f"it is list {found.number}, and list {former.number} is in force"
        raise Damaged(told, "give the newest list; an older one never replaces it")
    return found
