"""Replays in the control plane: what several nodes write about one, and the era that follows from all of them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.replay import Part, Replay, ReplayState, Told, Wish
from appliance.errors import Conflict, NotFound
from appliance.storage.control import pipelines
from appliance.storage.control import replays as store
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import OrganisationRow, PipelineRow, PipelineVersionRow

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
REPLAY = Replay(
    id="rp_1", organisation_id=OrganisationId("org_1"), pipeline_id=PipelineId("pl_1"), version=2,
    state=ReplayState.WAITING, created_by="ada", created_at=NOON,
)  # fmt: skip


@pytest.fixture
def kept(plane: ControlPlane) -> ControlPlane:
    """A pipeline with one replay."""

    def work(tx: Any) -> None:
        tx.add(OrganisationRow(id="org_1", name="org", created_at=NOON))
        tx.flush()
        tx.add(
            PipelineRow(
                id="pl_1", organisation_id="org_1", live_name="a", state="running", version=1, secrets=[],
                created_at=NOON, updated_at=NOON,
            )
        )  # fmt: skip
        tx.flush()
        tx.add(PipelineVersionRow(pipeline_id="pl_1", version=1, definition={}, author="ada", created_at=NOON))
        store.add(tx, REPLAY)

    plane.write_now(work)
    return plane


def found(plane: ControlPlane, replay_id: str = "rp_1") -> Replay:
    return plane.read_now(lambda tx: store.find(tx, "org_1", replay_id))


def save(plane: ControlPlane, replay: Replay) -> None:
    plane.write_now(lambda tx: store.save(tx, replay))


def ask(plane: ControlPlane, wish: Wish | None) -> None:
    plane.write_now(lambda tx: store.ask(tx, REPLAY, wish))


def test_what_others_wish_and_were_told_outlives_what_is_saved_meanwhile(kept: ControlPlane) -> None:
    told = Told(error="node 'bert' does not answer")
    ask(kept, Wish.SWAP)
    kept.write_now(lambda tx: store.tell(tx, REPLAY, told))
    save(kept, replace(REPLAY.to(ReplayState.REBUILDING), parts=(Part(1), Part(9, 11))))
    now = found(kept)
    assert (now.state, now.wish, now.told) == (ReplayState.REBUILDING, Wish.SWAP, told)
    assert now.parts == (Part(1, None), Part(9, 11))
    ask(kept, None)
    assert found(kept).wish is None
    ask(kept, Wish.CANCEL)
    save(kept, replace(now.to(ReplayState.CANCELLED)))
    assert (found(kept).wish, found(kept).told) == (None, None)


def test_what_comes_too_late_is_refused(kept: ControlPlane) -> None:
    with pytest.raises(Conflict, match="'rp_1' is waiting by now"):
        ask(kept, Wish.UNDO)
    rebuilding = REPLAY.to(ReplayState.REBUILDING)
    for one in (rebuilding, rebuilding.to(ReplayState.CANCELLED)):
        save(kept, one)
    with pytest.raises(Conflict, match="is 'cancelled' cannot become 'rebuilding'"):
        save(kept, rebuilding)  # of a node that slept meanwhile
    for wish in (Wish.SWAP, Wish.CANCEL, Wish.UNDO):
        with pytest.raises(Conflict, match="is cancelled by now"):
            ask(kept, wish)
    with pytest.raises(NotFound, match="no replay 'rp_9' any more"):
        kept.write_now(lambda tx: store.ask(tx, replace(REPLAY, id="rp_9"), Wish.SWAP))


def test_the_era_is_that_of_the_last_exchange(kept: ControlPlane) -> None:
    def era() -> int:
        return kept.read_now(lambda tx: pipelines.find(tx, "org_1", "pl_1")[0].era)

    assert era() == 0
    swapping = replace(REPLAY.to(ReplayState.REBUILDING), next_era=1).to(ReplayState.SWAPPING)
    for one in (REPLAY.to(ReplayState.REBUILDING), swapping):
        save(kept, one)
    assert era() == 0  # until it is known to be done
    swapped = replace(swapping.to(ReplayState.SWAPPED), era=1)
    save(kept, swapped)
    later = replace(REPLAY, id="rp_2", state=ReplayState.SWAPPED, era=2)
    kept.write_now(lambda tx: store.add(tx, later))
    assert era() == 2
    ask(kept, Wish.UNDO)
    save(kept, replace(swapped, undoing=True, next_era=3))
    assert (era(), found(kept).wish) == (2, Wish.UNDO)
    save(kept, replace(swapped.to(ReplayState.UNDONE), era=3))
    assert (era(), found(kept).wish) == (3, None)
