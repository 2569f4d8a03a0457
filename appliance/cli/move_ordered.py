"""A move of a running appliance: ordered, watched and withdrawn from beside it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from appliance.cli.data_dir import owner
from appliance.cli.move_progress import Shown
from appliance.errors import ConfigError, Conflict, DashError, Problem, TransientError
from appliance.settings import Settings

if TYPE_CHECKING:
    from appliance.domain.database.dsn import Dsn
    from appliance.moving.ordered import Standing

LOOK_SECS: Final = 0.2
GONE_SECS: Final = 10.0  # without an owner of the data directory: it is not just starting again


class NotMoved(DashError):
    """It failed, or somebody withdrew it; the appliance is where it was."""

    code = "E_NOT_MOVED"


def check_order(settings: Settings, target: "Dsn | None") -> None:
    """Refuse what can be seen to be impossible while the appliance runs where it is.

    Raises:
        ConfigError, Conflict, TransientError: what is in the way.
    """
    from msgspec.structs import replace

    from appliance.moving import alone, control
    from appliance.placing import ELSEWHERE, access_of, place_of
    from appliance.settings.consistency import contradictions
    from appliance.storage.control.plane import ControlPlane

    check_idle(settings.server.data_dir)
    after = replace(settings, database=replace(settings.database, url=target))
    if problems := list(contradictions(after)):
        raise ConfigError(problems)
    here, elsewhere = access_of(settings), (settings.server.data_dir / ELSEWHERE).exists()
    if target is not None and elsewhere:
        raise Conflict(f"moving to {target}: this appliance lives in a database already: move it back first")
    if target is None and not elsewhere:
        raise ConfigError([Problem("database.url", "everything is embedded already", "nothing has to be moved")])
    if here is not None:  # else it is whoever serves that was told the database, and looks there
        plane = ControlPlane.look(here)
        try:
            plane.read_now(lambda tx: alone.check_alone(tx, settings.server.data_dir))
        finally:
            plane.close()
    control.check_target(place_of(settings), place_of(after))


def check_idle(data_dir: Path) -> None:
    """Raise Conflict where a move was ordered and has not ended."""
    from appliance.moving import ordered as orders

    if orders.is_ordered(data_dir):
        raise Conflict(
            "moving: a move is under way, by the appliance or as soon as it is started again; "
            "'dash-appliance database move --cancel' withdraws it"
        )


def ordered(data_dir: Path, target: "Dsn | None", **more: bool) -> None:
    """Have the appliance that runs move."""
    from appliance.domain.clock import utc_now
    from appliance.moving import ordered as orders

    orders.order(data_dir, orders.Ordered(target=None if target is None else target.text(), at=utc_now(), **more))


def watched(data_dir: Path, shown: Shown) -> "Standing":
    """Return how the move that is under way ended, and show how far it is until then.

    Raises:
        NotMoved: it failed, or was withdrawn.
        TransientError: nobody carries it out.
    """
    from appliance.moving import ordered as orders

    seen = time.monotonic()
    while (standing := orders.told(data_dir)) is None or not standing.state.ended:
        if standing is not None and standing.step is not None:
            shown.rows(standing.step)
        ordered = orders.is_ordered(data_dir)
        if ordered and owner(data_dir) is not None:
            seen = time.monotonic()
        elif time.monotonic() - seen > GONE_SECS:
            if not ordered:
                raise NotMoved("moving: it was withdrawn before it had begun; everything is where it was")
            raise TransientError(
                "watching a move: the appliance has ended in the middle, and is where it was; it goes on when it is"
                " started again, or withdraw it by 'dash-appliance database move --cancel'"
            )
        time.sleep(LOOK_SECS)
    if standing.state is not orders.State.MOVED:
        told = f"it was {standing.state.value}" if standing.reason is None else standing.reason
        raise NotMoved(f"moving to {standing.target}: {told}; everything is where it was")
    return standing


def withdrawn(data_dir: Path) -> dict[str, Any]:
    """Take an order back; whoever carries it out ends at the next step, and goes on where everything is."""
    from appliance.moving import ordered as orders

    if not orders.withdraw(data_dir):
        raise Conflict("cancelling a move: none is under way")
    return {"cancelled": True}
