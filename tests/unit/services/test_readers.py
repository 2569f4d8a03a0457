"""Who reads whom, in the control plane: circles, names, deletions."""

from typing import Any

import pytest

from appliance.domain.clock import utc_now
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.pipeline import Pipeline, PipelineDocument, State
from appliance.errors import Conflict, Invalid
from appliance.services.readers import check_reading, check_unread, named_in, nodes, readers
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import OrganisationRow, PipelineRow, PipelineVersionRow

ORG = OrganisationId("org_1")


def reading(*named: str) -> dict[str, Any]:
    return {"type": "pipeline", "pipelines": list(named)} if named else {"type": "webhook"}


def saved(plane: ControlPlane, pipelines: dict[str, dict[str, Any]], organisation: str = ORG) -> None:
    """Save pipelines named by letters; ``a`` has the id ``pl_a``."""

    def work(tx: Any) -> None:
        tx.merge(OrganisationRow(id=organisation, name=organisation, created_at=utc_now()))
        for name, source in pipelines.items():
            row = PipelineRow(
                id=f"pl_{name}", organisation_id=organisation, live_name=name, state="running", version=1,
                secrets=[], created_at=utc_now(), updated_at=utc_now(),
            )  # fmt: skip
            tx.add(row)
            tx.flush()
            definition = {"name": name, "source": source}
            tx.add(
                PipelineVersionRow(
                    pipeline_id=row.id, version=1, definition=definition, author="ada", created_at=utc_now()
                )
            )

    plane.write_now(work)


def judge(plane: ControlPlane, name: str, source: dict[str, Any], called: str | None = None) -> None:
    document = PipelineDocument(name=called or name, source=source)
    pipeline = Pipeline(
        id=PipelineId(f"pl_{name}"), organisation_id=ORG, version=2, state=State.RUNNING, document=document
    )
    plane.read_now(lambda tx: check_reading(tx, pipeline))


def test_reading_others_is_fine_by_name_and_by_id(plane: ControlPlane) -> None:
    saved(plane, {"a": reading(), "b": reading("a")})
    judge(plane, "c", reading("pl_a", "b"))


def test_nobody_reads_itself(plane: ControlPlane) -> None:
    saved(plane, {"a": reading()})
    for named in ("a", "pl_a"):
        with pytest.raises(Invalid, match="in a circle: a → a"):
            judge(plane, "a", reading(named))


def test_a_circle_is_told_with_its_path(plane: ControlPlane) -> None:
    saved(plane, {"a": reading(), "b": reading("a"), "c": reading("x", "pl_b"), "x": reading()})
    with pytest.raises(Invalid) as caught:
        judge(plane, "a", reading("x", "c"))
    [problem] = caught.value.problems
    assert problem.pointer == "/source/pipelines/1"
    assert problem.message == "pipelines would read each other in a circle: a → c → b → a"


def test_what_there_is_not_cannot_be_read(plane: ControlPlane) -> None:
    saved(plane, {"boilers": reading()})
    saved(plane, {"rivals": reading()}, "org_2")
    with pytest.raises(Invalid) as caught:
        judge(plane, "b", reading("boiler", "rivals", "pl_rivals"))
    assert [(one.pointer, one.message, one.hint) for one in caught.value.problems] == [
        ("/source/pipelines/0", "there is no pipeline 'boiler' to read", "did you mean 'boilers'?"),
        ("/source/pipelines/1", "there is no pipeline 'rivals' to read", "known: boilers"),
        ("/source/pipelines/2", "there is no pipeline 'pl_rivals' to read", "known: boilers"),
    ]


def test_a_name_that_others_read_by_is_kept(plane: ControlPlane) -> None:
    saved(plane, {"a": reading(), "b": reading("a"), "c": reading("pl_a")})
    with pytest.raises(Conflict, match="cannot be renamed: 'b' would not find it any more"):
        judge(plane, "a", reading(), called="z")
    judge(plane, "b", reading("pl_a"), called="y")  # nobody reads b


def test_what_is_read_is_not_deleted(plane: ControlPlane) -> None:
    saved(plane, {"a": reading(), "b": reading("a"), "c": reading("pl_a", "b")})
    with pytest.raises(Conflict, match="read by 'b', 'c': delete those first"):
        plane.read_now(lambda tx: check_unread(tx, ORG, PipelineId("pl_a")))
    plane.read_now(lambda tx: check_unread(tx, ORG, PipelineId("pl_c")))
    found = plane.read_now(lambda tx: readers(nodes(tx, ORG), PipelineId("pl_b")))
    assert [one.name for one in found] == ["c"]


def test_what_a_source_names() -> None:
    assert named_in({"type": "webhook"}) == {}
    assert named_in({"type": "pipeline", "pipeline": "a"}) == {"/source/pipeline": "a"}
    assert named_in(reading("a", "b")) == {"/source/pipelines/0": "a", "/source/pipelines/1": "b"}
