"""The licence as people see it: what is in force, what it allows, what a day or another document would change. Pure."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Final

import msgspec

from appliance.domain.access import Principal
from appliance.services.allowance import Allowance, Allowed, Held
from license.document import License
from license.entitlements import DEEDS, Thing
from license.standing import Standing

COMMUNITY: Final = "Community"
OVER: Final = "over"


class LimitView(msgspec.Struct, frozen=True, kw_only=True):
    """``limit`` null: as many as one likes. ``used``: of all organisations; events: of today or yesterday."""

    thing: Thing
    limit: int | None
    used: int


class Warned(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person should know and do. ``code``: ``ending``, ``grace``, ``lapsed``, ``not_valid``, ``over``,
    ``clock``."""

    code: str
    message: str
    remedy: str


class DeedView(msgspec.Struct, frozen=True, kw_only=True):
    """Something people do, and whether it may be done."""

    name: str
    allowed: bool


class LicenseView(msgspec.Struct, frozen=True, kw_only=True):
    """What is in force on ``day``. ``installation``: the request code; ``bound_to``: that, or ``any``.

    ``days_left``: until the last day, below 0 afterwards; ``next_step``: when ``standing`` changes. Null: no licence.
    """

    day: date
    standing: Standing
    edition: str
    customer: str | None
    id: str | None
    bound_to: str | None
    valid_from: date | None
    valid_to: date | None
    maintenance_to: date | None
    days_left: int | None
    next_step: date | None
    features: list[str]
    limits: list[LimitView]
    deeds: list[DeedView]
    warnings: list[Warned]
    installation: str
    installed_at: datetime | None
    installed_by: str | None
    revocations: int | None  # number of the list in force
    keys: list[str]  # ids of those whose signatures count for this version


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what would be otherwise."""

    what: str
    before: str
    after: str


class PreviewView(msgspec.Struct, frozen=True, kw_only=True):
    """What a document would change; nothing has changed yet."""

    before: LicenseView
    after: LicenseView
    changes: list[Change]


def view(
    held: Held, allowed: Allowed, used: Mapping[Thing, int], keys: list[str], *, clock_set_back: bool = False
) -> LicenseView:  # fmt: skip
    """Return what is in force."""
    license, given = held.license, held.installation
    limits = _limits(allowed, used)
    standing = allowed.outlook.standing
    return LicenseView(
        day=allowed.today,
        standing=standing,
        edition=license.edition if license else COMMUNITY,
        customer=license.customer if license else None,
        id=license.id if license else None,
        bound_to=license.installation if license else None,
        valid_from=license.valid_from if license else None,
        valid_to=license.valid_to if license else None,
        maintenance_to=license.maintenance_to if license else None,
        days_left=allowed.outlook.days_left,
        next_step=allowed.outlook.next_step,
        features=sorted(allowed.entitlements.features),
        limits=limits,
        deeds=[DeedView(name=one.name, allowed=one.allowed(standing, allowed.entitlements)) for one in DEEDS],
        warnings=[*warned(held, allowed, clock_set_back=clock_set_back), *_over(limits)],
        installation=given.code,
        installed_at=given.installed_at,
        installed_by=given.installed_by,
        revocations=held.revocations.number if held.revocations else None,
        keys=keys,
    )


def seen_by(who: Principal, found: LicenseView) -> LicenseView:
    """Return of ``found`` what is ``who``'s to see: people of an organisation that does not operate the appliance are
    told what is allowed, and not by which document, whose it is or who installed it."""
    if who.operates:
        return found
    return msgspec.structs.replace(
        found, customer=None, id=None, bound_to=None, installation="", installed_by=None, revocations=None, keys=[],
        warnings=[one for one in found.warnings if one.code == OVER],
    )  # fmt: skip


def at_a_glance(allowance: Allowance) -> Iterator[Warned]:
    """Yield what to see to, by what is known without asking anybody, the worst first."""
    allowed = allowance.now()
    yield from warned(allowance.held, allowed, clock_set_back=allowance.clock_set_back())
    yield from _over(_limits(allowed, allowance.used))


def _limits(allowed: Allowed, used: Mapping[Thing, int]) -> list[LimitView]:
    return [LimitView(thing=one, limit=allowed.entitlements.limit(one), used=used.get(one, 0)) for one in Thing]


def warned(held: Held, allowed: Allowed, *, clock_set_back: bool) -> Iterator[Warned]:
    """Yield what a person should be told today of the licence itself, the worst first."""
    if held.trouble is not None:
        told = f"what was installed does not count: {held.trouble}"
        yield Warned(code="not_valid", message=told, remedy=held.trouble.remedy)
    if held.license is not None and allowed.outlook.warns:
        yield _running_out(held.license, allowed)
    if clock_set_back and held.installation.seen_at is not None:
        seen = f"{held.installation.seen_at:%Y-%m-%d %H:%M} UTC"
        yield Warned(
            code="clock",
            message=f"the clock of this machine is behind {seen}, which it showed before; nothing is locked by that",
            remedy="set the clock; if it is right now and was wrong then, install the licence again",
        )


def _running_out(license: License, allowed: Allowed) -> Warned:
    standing, left = allowed.outlook.standing, allowed.outlook.days_left or 0
    renew = "ask for a renewal, and install it on the page Licence"
    match standing:
        case Standing.ENDING:
            when = "today" if left == 0 else "tomorrow" if left == 1 else f"in {left} days"
            told = f"the licence of {license.customer} ends {when}, on {license.valid_to}"
            renew += "; the old one counts until then"
        case Standing.GRACE:
            told = f"the licence of {license.customer} ended on {license.valid_to}; nothing changes before "
            told += f"{allowed.outlook.next_step}, when new things above {COMMUNITY} are refused"
        case _:
            told = f"the licence of {license.customer} ended on {license.valid_to}: what runs, runs on, and new things "
            told += f"above {COMMUNITY} are refused"
    return Warned(code=standing.value, message=told, remedy=renew)


def _over(limits: list[LimitView]) -> Iterator[Warned]:
    for one in limits:
        if one.limit is None or one.used <= one.limit:
            continue
        told = f"{one.used:,} {one.thing.value}, and {one.limit:,} are allowed: they run on, and new ones are refused"
        if one.thing is Thing.EVENTS_PER_DAY:
            told = f"{one.used:,} events a day were received, and {one.limit:,} are allowed: all of them were taken, "
            told += f"and new pipelines above {COMMUNITY} are refused"
        yield Warned(
            code=OVER,
            message=told,
            remedy="ask for a licence with room for them",
        )


def changes(before: LicenseView, after: LicenseView) -> list[Change]:
    """Return what differs, line by line, in the words of the screen."""
    rows = [
        ("Edition", before.edition, after.edition),
        ("Customer", before.customer, after.customer),
        ("Licence", before.id, after.id),
        ("State", before.standing.value, after.standing.value),
        ("Valid until", before.valid_to, after.valid_to),
        ("Versions released until", before.maintenance_to, after.maintenance_to),
        ("Bound to", before.bound_to, after.bound_to),
    ]
    limits = zip(before.limits, after.limits, strict=True)
    rows += [(limit_name(one.thing), limit_text(one.limit), limit_text(other.limit)) for one, other in limits]
    names = sorted({*before.features, *after.features})
    rows += [(name.replace("_", " "), _yes(name in before.features), _yes(name in after.features)) for name in names]
    return [Change(what=what, before=_text(one), after=_text(other)) for what, one, other in rows if one != other]


def limit_name(thing: Thing) -> str:
    return "Events a day" if thing is Thing.EVENTS_PER_DAY else thing.value.capitalize()


def limit_text(limit: int | None) -> str:
    return "unlimited" if limit is None else f"{limit:,}"


def _yes(there: bool) -> str:
    return "yes" if there else "no"


def _text(value: object) -> str:
    return "–" if value is None else str(value)
