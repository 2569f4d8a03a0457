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
    """What is allowed at a time, and by what. ``features`` may hold names that this version does not know."""

    limits: Limits
    features: frozenset[str] = frozenset()
    by: str = "Community"

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
        if thing is Thing.EVENTS_PER_DAY:
            return f"{self.by} allows {limit:,} events a day, and {there:,} were received"
        return f"{self.by} allows {limit:,} {_named(thing, limit)}, and there {_are(there)} {there:,}"


def entitled(license: License | None, standing: Standing) -> Entitlements:
    """Return what ``license`` allows while it stands so: never less than Community.

    Events are the licence's own number although Community has none: being over it only keeps pipelines above Community
    from being made, and those Community has not at all.
    """
    if license is None or standing in (Standing.COMMUNITY, Standing.LAPSED):
        return Entitlements(COMMUNITY)
    at_least = {thing.value: _more(getattr(license.limits, thing), getattr(COMMUNITY, thing)) for thing in Thing}
    at_least[Thing.EVENTS_PER_DAY.value] = license.limits.events_per_day
    return Entitlements(Limits(**at_least), frozenset(license.features), "the licence")


def _more(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


def _named(thing: Thing, count: int) -> str:
    return thing.value.removesuffix("s") if count == 1 else thing.value


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


class Deed(NamedTuple):
    """Something people do. ``stops``: the standings in which it is refused; none: it never stops.

    ``feature``: what the licence has to name for it besides.
    """

    name: str
    stops: frozenset[Standing] = frozenset()
    feature: Feature | None = None

    def allowed(self, standing: Standing, entitlements: Entitlements) -> bool:
        """Return whether it may be done."""
        return standing not in self.stops and (self.feature is None or entitlements.allows(self.feature))


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
    Deed("edit white label", _LOCKED, Feature.WHITE_LABEL),
    Deed("edit enterprise sign-in", _LOCKED, Feature.ENTERPRISE_SIGN_IN),
)
