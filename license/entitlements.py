"""What may be done: limits and features by licence and standing, and what no licence ever touches. Pure."""

from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from license.document import Feature, License, Limits
from license.standing import Standing

COMMUNITY: Final = Limits(organisations=1, users=5, pipelines=10, events_per_day=None, nodes=1)


class Thing(StrEnum):
    """What is counted; the values are the names of the limits."""

    ORGANISATIONS = "organisations"
    USERS = "users"
    PIPELINES = "pipelines"
    EVENTS_PER_DAY = "events_per_day"
    NODES = "nodes"


class Entitlements(msgspec.Struct, frozen=True):
    """What is allowed at a time. ``features`` may hold names that this version does not know."""

    limits: Limits
    features: frozenset[str] = frozenset()

    def limit(self, thing: Thing) -> int | None:
        """Return how many there may be; None: as many as one likes."""
        found: int | None = getattr(self.limits, thing.value)
        return found

    def allows(self, feature: Feature) -> bool:
        return feature.value in self.features

    def refusal(self, thing: Thing, there: int, more: int = 1) -> str | None:
        """Return why ``more`` may not join the ``there``; None: they may. What is there is never touched."""
        limit = self.limit(thing)
        if limit is None or more <= 0 or there + more <= limit:
            return None
        return f"the licence allows {limit:,} {thing.value.replace('_', ' ')}, and there are {there:,}"


def entitled(license: License | None, standing: Standing) -> Entitlements:
    """Return what ``license`` allows while it stands so: never less than Community."""
    if license is None or standing in (Standing.COMMUNITY, Standing.LAPSED):
        return Entitlements(COMMUNITY)
    at_least = {thing.value: _more(getattr(license.limits, thing), getattr(COMMUNITY, thing)) for thing in Thing}
    return Entitlements(Limits(**at_least), frozenset(license.features))


def _more(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


class Deed(NamedTuple):
    """Something people do. ``stops``: the standings in which it is refused; none: it never stops."""

    name: str
    stops: frozenset[Standing] = frozenset()


_LOCKED: Final = frozenset({Standing.COMMUNITY, Standing.LAPSED})

# The published promise: the table of the handbook is made of this, and tests hold the appliance to it.
DEEDS: Final = (
    Deed("receive and poll events"),
    Deed("refine, replay, repair and send on"),
    Deed("read, query and see dashboards"),
    Deed("alerts"),
    Deed("exports"),
    Deed("backups, restore and upgrades back"),
    Deed("sign in"),
    Deed("change and delete what is there"),
    Deed("new things within Community"),
    Deed("new things above Community, within the licence", _LOCKED),
    Deed("edit white label", _LOCKED),
    Deed("edit enterprise sign-in", _LOCKED),
)
