"""The licence as it stands: what it says, what it allows and how much of that is used, what it never stops."""

from collections.abc import Sequence
from typing import Final

from appliance.services.license_views import (
    COMMUNITY,
    Change,
    DeedView,
    LicenseView,
    LimitView,
    Warned,
    limit_name,
    limit_text,
)
from license.standing import Standing
from ui.markup import icon, node
from ui.widgets.card import card
from ui.widgets.figures import moment
from ui.widgets.qr import qr

STATES: Final = {
    Standing.COMMUNITY: ("no licence needed", ""),
    Standing.VALID: ("valid", "ok"),
    Standing.ENDING: ("ending", "warn"),
    Standing.GRACE: ("ended, in grace", "warn"),
    Standing.LAPSED: ("ended", "bad"),
}


def warnings(found: Sequence[Warned]) -> None:
    """Draw what to see to."""
    for one in found:
        with node("div", css="callout warn"):
            icon("alert")
            with node("div", css="grow"):
                node("p", f"{one.message[:1].upper()}{one.message[1:]}.")
                node("p", f"{one.remedy[:1].upper()}{one.remedy[1:]}.", "muted")


def in_force(view: LicenseView) -> None:
    """Draw what is in force."""
    label, look = STATES[view.standing]
    with card("In force") as (head, _), node("dl", css="kv"):
        with head:
            node("span", label, f"badge plain {look}".strip())
        _line("Edition", view.edition)
        if view.edition == COMMUNITY:
            _line("Licence", "none: Community, with every safety feature")
        if view.id is None:  # nothing more, or not for this person to see
            return
        _line("Customer", view.customer or "–")
        _line("Licence", view.id)
        left = "" if view.days_left is None or view.days_left < 0 else f", {view.days_left} days left"
        _line("Valid until", f"{view.valid_to}{left}")
        _line("Versions", f"released until {view.maintenance_to}")
        _line("Bound to", "any installation" if view.bound_to == "any" else "this installation")
        _line("Features", ", ".join(one.replace("_", " ") for one in view.features) or "–")
        node("dt", "Installed")
        with node("dd"):
            moment(view.installed_at, "date")
            node("span", f" by {view.installed_by}", "muted")


def _line(term: str, text: str) -> None:
    node("dt", term)
    node("dd", text)


def limits(found: Sequence[LimitView]) -> None:
    """Draw each limit and how much of it there is."""
    with card("Limits", tight=True), node("div", css="table-wrap"), node("table", css="table"):
        with node("thead"), node("tr"):
            for label, css in (("Of", ""), ("Allowed", "num"), ("There are", "num")):
                node("th", label, css, scope="col")
        with node("tbody"):
            for one in found:
                over = one.limit is not None and one.used > one.limit
                with node("tr"):
                    node("td", limit_name(one.thing), "name")
                    node("td", limit_text(one.limit), "num")
                    with node("td", css="num"):
                        node("span", f"{one.used:,}", "badge plain warn" if over else "")


def request_code(code: str) -> None:
    """Draw what to send to whoever issues licences: to be read out, copied or scanned."""
    with node("div", css="request"):
        qr(code, f"QR code of the request code {code}")
        with node("div", css="stack tight"):
            node("code", code, "request-code", id="request-code")
            node("p", "It names this installation. Read it out on the telephone, or let the code be scanned.", "muted")
            with node("div"), node("button", css="btn small", type="button", data_copy_from="request-code"):
                icon("copy")
                node("span", "Copy")


def change_table(changes: Sequence[Change]) -> None:
    """Draw what would be otherwise, before and after."""
    with node("div", css="table-wrap"), node("table", css="table", id="changes"):
        with node("thead"), node("tr"):
            for label in ("What", "Before", "After"):
                node("th", label, scope="col")
        with node("tbody"):
            for one in changes:
                with node("tr"):
                    node("td", one.what, "name")
                    node("td", one.before, "muted")
                    node("td", one.after)


def deed_table(deeds: Sequence[DeedView]) -> None:
    """Draw what may be done and what is refused."""
    with node("ul", css="deeds"):
        for one in deeds:
            with node("li", css="" if one.allowed else "refused"):
                icon("check" if one.allowed else "minus")
                node("span", one.name)
                node("span", "goes on" if one.allowed else "refused", "small faint")
