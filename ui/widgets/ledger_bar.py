"""Where the events of a pipeline went, as a bar, as figures and as the equation that must hold."""

from appliance.domain.ledger import Ledger
from ui.markup import icon, node

OUTCOMES = ("stored", "filtered", "duplicate", "dead", "pending")


def ledger_bar(ledger: Ledger) -> None:
    """Draw the bar alone; its figures are in the label and on hover."""
    words = ", ".join(f"{getattr(ledger, kind):,} {kind}" for kind in OUTCOMES)
    label = f"{ledger.received:,} received: {words}"
    with node("div", css="ledger-bar", role="img", aria_label=label, title=label, data_slot="bar"):
        for kind in OUTCOMES:
            count = getattr(ledger, kind)
            # A dead letter among a million events must still be seen: at least 1.5 % of the width.
            share = max(count / max(1, ledger.received), 0.015) if count else 0
            node("i", css=f"k-{kind}", data_kind=kind, data_share=1 if count else 0).style(f"flex-grow:{share:.4f}")


def ledger_sum(ledger: Ledger) -> None:
    """Draw the bar, each figure, and the equation with its verdict."""
    ledger_bar(ledger)
    with node("dl", css="ledger-sum"):
        for kind in ("received", *OUTCOMES):
            with node("div"):
                with node("dt"):
                    if kind != "received":
                        node("i", css=f"k-{kind}")
                    node("span", kind.capitalize() if kind != "dead" else "Dead letters")
                node("dd", f"{getattr(ledger, kind):,}", data_slot="count", data_kind=kind)
    with node("p", css="equation", data_slot="balance", data_balanced=str(ledger.balanced).lower()):
        node("span", "received = stored + filtered + duplicate + dead + pending")
        with node("span", css="verdict"):
            icon("check" if ledger.balanced else "alert")
            node("span", "Balanced" if ledger.balanced else "Does not balance", data_verdict="")
