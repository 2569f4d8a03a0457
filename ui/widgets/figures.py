"""Small live figures: state badge, times, sparkline."""

from datetime import datetime
from typing import Final

from appliance.domain.partition import spoken
from appliance.domain.pipeline import State
from appliance.domain.quantity import shown_size
from appliance.domain.stats import LiveStats
from ui.markup import node

size: Final = shown_size


def state_badge(state: State) -> None:
    """Draw the state of a pipeline; the feed keeps it current inside an element with ``data-live=stats``."""
    with node("span", css="badge", data_slot="state", data_state=state.value):
        node("i", css="dot")
        node("span", state.value)


def moment(at: datetime | None, style: str = "ago", slot: str | None = None, never: str = "never") -> None:
    """Draw an instant in the reader's own time zone. ``style``: ago, clock or date; None reads ``never``."""
    text = never if at is None else f"{at:%Y-%m-%d %H:%M} UTC"
    node("time", text, data_live="time", data_style=style, data_slot=slot, data_at=at.isoformat() if at else None)


def last_event(live: LiveStats) -> None:
    """Draw when a pipeline last received something."""
    moment(live.last_received_at, slot="last", never=unheard(live.ledger.received))


def unheard(received: int) -> str:
    """Return when events came of which nobody knows when: nodes know the moment since their own start."""
    return "before the last start" if received else "never"  # as static/stats.js


def stamp(at: str, style: str = "ago") -> None:
    """Draw an instant that is text already (RFC 3339), as ``moment`` does."""
    node("time", at, data_live="time", data_style=style, data_at=at)


def event_number(seq: int) -> str:
    """Return the number of an event, thousands set apart: ``1,234``; of partition 2 ``2:1,234``."""
    number, colon, local = spoken(seq).rpartition(":")
    return f"{number}{colon}{int(local):,}"


def short(number: float) -> str:
    """Return ``number`` with three significant digits, as ``static/format.js`` does."""
    for limit, divisor, suffix in ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(number) >= limit:
            return f"{_digits(number / divisor)}{suffix}"
    return f"{number:,.0f}" if number == int(number) else _digits(number)


def _digits(number: float) -> str:
    size = abs(number)
    if size >= 100:
        return f"{number:,.0f}"
    if size >= 0.01:
        return f"{number:.{1 if size >= 10 else 2}f}".rstrip("0").rstrip(".")
    return f"{number:.2g}"
