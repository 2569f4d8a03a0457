"""Control plane and engine agree, whichever of them fails in the middle."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from msgspec.structs import replace
from sqlalchemy.orm import Session

from appliance import catalog
from appliance.domain.access import Principal, Role
from appliance.domain.clock import utc_now
from appliance.domain.ids import OrganisationId, PipelineId, new_id
from appliance.domain.pipeline import Pipeline, PipelineDocument, State
from appliance.errors import Conflict, TransientError
from appliance.pinned import PINNED
from appliance.services.allowance import Allowance
from appliance.services.definitions import Definitions
from appliance.services.pipeline_changes import PipelineChanges
from appliance.storage.control import pipelines as store
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import OrganisationRow, PipelineVersionRow
from appliance.storage.control.vault import Vault

WHO = Principal(organisation_id=OrganisationId("org_1"), role=Role.EDITOR, name="ada@example.org")


class Engine:
    """Remembers what runs; refuses versions it is told to refuse."""

    looks = False

    def __init__(self) -> None:
        self.running: dict[PipelineId, Pipeline] = {}
        self.refuses: set[int] = set()

    async def start_pipeline(self, pipeline: Pipeline) -> None:
        if pipeline.version in self.refuses:
            raise Conflict("a column would change its type")
        self.running[pipeline.id] = pipeline


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def changes(plane: ControlPlane, engine: Any) -> PipelineChanges:
    plane.write_now(lambda tx: tx.add(OrganisationRow(id="org_1", name="Example", created_at=utc_now())))
    definitions = Definitions(catalog, Vault(Fernet.generate_key()), lambda _mapping, _pointer: [])
    return PipelineChanges(plane, definitions, engine, Allowance(plane, PINNED))


def pipeline(name: str = "p", **changed: Any) -> Pipeline:
    document = PipelineDocument(name=name, source={"type": "webhook"})
    made = Pipeline(
        id=PipelineId(new_id("pl")),
        organisation_id=WHO.organisation_id,
        version=1,
        state=State.RUNNING,
        document=document,
    )
    return replace(made, **changed)


def saved(plane: ControlPlane) -> list[tuple[str | None, int, str]]:
    return plane.read_now(lambda tx: [(row.live_name, row.version, row.state) for row, _ in store.everything(tx)])


async def test_what_does_not_start_is_not_saved(plane: ControlPlane, engine: Engine, changes: PipelineChanges) -> None:
    engine.refuses = {1}
    with pytest.raises(Conflict):
        await changes.add(WHO, pipeline())
    assert saved(plane) == []
    engine.refuses = set()
    await changes.add(WHO, pipeline())  # the name is free again
    assert saved(plane) == [("p", 1, "running")]


async def test_a_version_that_does_not_start_is_not_saved(
    plane: ControlPlane, engine: Engine, changes: PipelineChanges
) -> None:
    before = pipeline()
    await changes.add(WHO, before)
    engine.refuses = {2}
    with pytest.raises(Conflict):
        await changes.swap(WHO, before, replace(before, version=2), "pipeline.replace")
    assert saved(plane) == [("p", 1, "running")]
    assert engine.running[before.id] == before


async def test_a_version_that_is_not_saved_does_not_run_on(
    plane: ControlPlane, engine: Engine, changes: PipelineChanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pipeline()
    await changes.add(WHO, before)

    def full(*_: Any) -> None:
        raise TransientError("the disk is full")

    monkeypatch.setattr(store, "add_version", full)
    with pytest.raises(TransientError):
        await changes.swap(WHO, before, replace(before, version=2), "pipeline.replace")
    assert saved(plane) == [("p", 1, "running")]
    assert engine.running[before.id] == before


async def test_a_change_of_something_that_was_changed_meanwhile_is_refused(
    plane: ControlPlane, engine: Engine, changes: PipelineChanges
) -> None:
    before = pipeline()
    await changes.add(WHO, before)

    def meanwhile(tx: Session) -> None:
        row, version = store.find(tx, WHO.organisation_id, before.id)
        row.version = 2
        tx.add(
            PipelineVersionRow(
                pipeline_id=row.id, version=2, definition=version.definition, author="eve", created_at=utc_now()
            )
        )

    plane.write_now(meanwhile)
    with pytest.raises(Conflict, match="was changed by somebody else"):
        await changes.swap(WHO, before, replace(before, version=2), "pipeline.replace")


async def test_states_go_only_where_they_may(plane: ControlPlane, changes: PipelineChanges) -> None:
    before = pipeline()
    await changes.add(WHO, before)
    paused = replace(before, state=State.PAUSED)
    await changes.swap(WHO, before, paused, "pipeline.pause")
    gone = replace(paused, state=State.DELETED)
    with pytest.raises(Conflict, match="'deleted' cannot become 'running'"):
        await changes.swap(WHO, gone, replace(gone, state=State.RUNNING), "pipeline.resume")
    assert saved(plane) == [("p", 1, "paused")]
