"""The way to another release: two files chosen, what was found in them, and the button."""

from typing import Final

from appliance.domain.access import Action, Principal
from appliance.domain.finding import Examined
from appliance.domain.upgrade import Outcome, Staged, Upgrade
from ui.markup import button, icon, node, on
from ui.session import Visit
from ui.toast import go
from ui.widgets.card import card
from ui.widgets.code_block import code_block
from ui.widgets.empty import notice
from ui.widgets.figures import moment

_LOOKS: Final = {"fine": "check", "warning": "alert", "bad": "alert"}
_HERE: Final = "/operations?show=upgrade"


async def draw_upgrade(visit: Visit) -> None:
    """Draw the tab, for those who may."""
    if not visit.may(Action.OPERATIONS_MANAGE):
        notice("lock", "For administrators", "Who may manage this node goes over to another release here.")
        return
    found = await visit.services.upgrades.show(visit.who)
    with node("div", css="stack"):
        if found.last is not None:
            _last(found.last)
        with card(f"Release {found.version} is in use"), node("div", css="stack"):
            if found.ordered_at is not None:
                with node("p"):
                    node("span", "An upgrade was asked for ")
                    moment(found.ordered_at)
                    node(
                        "span", "; this page comes back with the new release, or with the reason why it is not in use."
                    )
            else:
                _choose()
        if found.staged is not None:
            with card("What was uploaded"), node("div", css="stack"):
                _staged(visit, found, found.staged)


def _choose() -> None:
    node(
        "p",
        "Choose a release and its signature, as they were carried over. Nothing is changed before you say so; if the "
        "new release is not well, program and data go back by themselves.",
        "muted",
    )
    with node("div", css="row"):
        for label, path, ending in (
            ("Choose the release (.tar.xz)", "bundle", ".xz"),
            ("Choose its signature (.sig)", "signature", ".sig"),
        ):
            with node("label", css="btn"):
                icon("inbox")
                node("span", label)
                node("input", css="hidden-file", type="file", accept=ending, data_upload=f"/api/v1/upgrade/{path}")
    node("progress", max=1, value=0, hidden=True, aria_label="Upload", data_upload_progress="")
    node("p", "", "error", role="alert", data_upload_error="")


def _staged(visit: Visit, found: Upgrade, staged: Staged) -> None:
    if staged.trouble is not None:
        with node("div", css="callout bad"):
            icon("alert")
            node("p", f"{staged.trouble[:1].upper()}{staged.trouble[1:]}.", "grow")
    if staged.findings:
        with node("ul", css="findings"):
            for one in staged.findings:
                _finding(one)
    if staged.go and found.by_hand is not None:
        node("p", "Nobody waits here to exchange the program. On this machine, run:", "muted")
        code_block(found.by_hand.partition("run '")[2].rstrip("'"), "upgrade-command")
    with node("div", css="row"):
        if staged.go and found.by_hand is None and found.ordered_at is None:
            made = button(f"Go over to {staged.version}", "primary")
            on(made, "click", visit.act(lambda who: _order(visit, who), busy=made))
        drop = button("Drop it", "ghost")
        on(drop, "click", visit.act(lambda who: _drop(visit, who), busy=drop))


def _finding(one: Examined) -> None:
    with node("li", css=f"finding {one.state}"):
        icon(_LOOKS[one.state])
        node("span", one.message)
        if one.remedy:
            node("span", one.remedy, "hint")


def _last(last: Outcome) -> None:
    well = last.trouble is None
    with node("div", css="callout" if well else "callout bad"):
        icon("check" if well else "alert")
        begun = f"The last upgrade, to {last.after}, is not in use" if last.after else "The last upgrade was not begun"
        told = f"{begun}: {last.trouble}." if not well else f"The last one went from {last.before} to {last.after}."
        node("p", told, "grow")


async def _order(visit: Visit, who: Principal) -> None:
    await visit.services.upgrades.order(who)
    go(visit.client, _HERE, "Asked for: receiving rests while the program is exchanged")


async def _drop(visit: Visit, who: Principal) -> None:
    await visit.services.upgrades.drop(who)
    go(visit.client, _HERE, "Dropped")
