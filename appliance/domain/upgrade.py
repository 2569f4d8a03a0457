"""What an upgrade came to, and what is known of a release that waits to be taken."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from appliance.domain.finding import Examined


class Outcome(msgspec.Struct, frozen=True):
    """``trouble``: why it went back, or never began; None: ``after`` is in use. ``snapshot``: what the former state is
    kept as."""

    before: str
    after: str
    trouble: str | None = None
    snapshot: str | None = None


class Staged(msgspec.Struct, frozen=True, kw_only=True):
    """A release that was uploaded. ``version`` None: it is not genuine, or not whole yet, and ``trouble`` says why.

    ``go``: nothing that was found stands in the way.
    """

    version: str | None = None
    trouble: str | None = None
    findings: list[Examined] = []
    go: bool = False


class Upgrade(msgspec.Struct, frozen=True, kw_only=True):
    """``by_hand``: why this process cannot have it done, and the command that does; None: it can.

    ``ordered_at``: since when the helper is asked to. ``last``: what the last one came to, on this machine.
    """

    version: str
    staged: Staged | None
    by_hand: str | None
    ordered_at: datetime | None
    last: Outcome | None


def in_the_way(findings: Sequence[Examined]) -> str:
    """Return one sentence of all that stands in the way of a release."""
    return "this release cannot be taken: " + "; ".join(one.message for one in findings if one.state == "bad")
