"""Which pipelines read which others: no circles, and nothing that is read goes away or loses its name."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from appliance.components.lint import suggest
from appliance.domain.ids import PipelineId
from appliance.domain.pipeline import Pipeline
from appliance.errors import Conflict, Invalid, Problem
from appliance.storage.control import pipelines as store


class Node(NamedTuple):
    """A pipeline, and what its source names (ids or names) by the place in the document."""

    id: PipelineId
    name: str
    reads: Mapping[str, str]


def named_in(source: Mapping[str, Any]) -> dict[str, str]:
    """Return the pipelines that a source names, by JSON pointer; none where it reads none."""
    if source.get("type") != "pipeline":
        return {}
    one = {"/source/pipeline": source["pipeline"]} if source.get("pipeline") else {}
    return one | {f"/source/pipelines/{place}": name for place, name in enumerate(source.get("pipelines", []))}


def nodes(tx: Session, organisation_id: str) -> list[Node]:
    """Return the organisation's pipelines, oldest first."""
    found = store.sources(tx, organisation_id)
    return [Node(PipelineId(pipeline_id), name, named_in(source)) for pipeline_id, name, source in found]


def readers(found: Sequence[Node], pipeline_id: PipelineId) -> list[Node]:
    """Return those of ``found`` that read the pipeline."""
    ids = _ids(found)
    return [node for node in found if any(ids.get(name) == pipeline_id for name in node.reads.values())]


def check_reading(tx: Session, pipeline: Pipeline) -> None:
    """Return if ``pipeline`` may be saved like this.

    Raises:
        Invalid: it names a pipeline that the organisation does not have, or one that reads it in turn.
        Conflict: others read it by the name that it would lose.
    """
    saved = nodes(tx, pipeline.organisation_id)
    node = Node(pipeline.id, pipeline.document.name, named_in(pipeline.document.source))
    others = [one for one in saved if one.id != pipeline.id]
    _check_name_kept(next((one.name for one in saved if one.id == pipeline.id), node.name), node, others)
    ids = _ids([*others, node])
    if problems := [_unknown(pointer, name, others) for pointer, name in node.reads.items() if name not in ids]:
        raise Invalid(problems)
    known = {one.id: one for one in (*others, node)}
    for pointer, name in node.reads.items():
        if path := _path(known, ids, ids[name], node.id):
            circle = " → ".join(known[step].name for step in (node.id, *path))
            told = f"pipelines would read each other in a circle: {circle}"
            raise Invalid([Problem(pointer, told, "let one of them read something else")])


def check_unread(tx: Session, organisation_id: str, pipeline_id: PipelineId) -> None:
    """Return if no pipeline reads this one.

    Raises:
        Conflict: some do; the message names them.
    """
    if found := readers(nodes(tx, organisation_id), pipeline_id):
        raise Conflict(f"the pipeline is read by {_listed(found)}: delete those first, or let them read something else")


def _check_name_kept(name: str, node: Node, others: Sequence[Node]) -> None:
    by_name = [one for one in others if name in one.reads.values()]
    if name != node.name and by_name:
        raise Conflict(
            f"the pipeline cannot be renamed: {_listed(by_name)} would not find it any more. "
            f"Let them read it by its id, {node.id!r}, first"
        )


def _path(
    known: Mapping[PipelineId, Node], ids: Mapping[str, PipelineId], start: PipelineId, goal: PipelineId
) -> tuple[PipelineId, ...]:
    """Return the steps from ``start`` up to ``goal``, both with them; empty: no way leads there."""
    came_from: dict[PipelineId, PipelineId | None] = {start: None}
    waiting = [start]
    while waiting and goal not in came_from:
        here = waiting.pop(0)
        for name in known[here].reads.values():
            there = ids.get(name)
            if there is not None and there not in came_from:
                came_from[there] = here
                waiting.append(there)
    steps: list[PipelineId] = []
    at: PipelineId | None = goal if goal in came_from else None
    while at is not None:
        steps.append(at)
        at = came_from[at]
    return tuple(reversed(steps))


def _ids(found: Iterable[Node]) -> dict[str, PipelineId]:
    """Return what each name and each id stands for; an id is never taken for a name."""
    everybody = list(found)
    return {one.name: one.id for one in everybody} | {one.id: one.id for one in everybody}


def _unknown(pointer: str, name: str, others: Sequence[Node]) -> Problem:
    return Problem(pointer, f"there is no pipeline {name!r} to read", suggest(name, [one.name for one in others]))


def _listed(found: Sequence[Node]) -> str:
    return ", ".join(repr(one.name) for one in found)
