"""Erasures as people ask for them and see them: judged whole, and never with what was looked for."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from appliance.components.lint import lint
from appliance.domain.erasure import Erasure, ErasureState, PayloadCondition
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType, Mapping
from appliance.errors import Invalid, Problem
from appliance.services.query_documents import ConditionDocument, conditions

MOST_SEQS: Final = 100_000
_COMPARABLE: Final = frozenset({FieldType.STRING, FieldType.INTEGER, FieldType.FLOAT, FieldType.BOOLEAN})
_SEARCHED: Final = frozenset({"=", "in"})


class PayloadDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value in the event as it was received."""

    path: Annotated[str, Meta(description="JSONPath; [*] means any", examples=["$.user.email"])]
    value: Annotated[Any, Meta(description="Or a list of values, of which one is there", examples=["ada@example.org"])]


class ErasureRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose events: by conditions on rows, by values in the events, or by number; what several of them find is united.

    ``where`` finds rows. Where its conditions are ``=`` or ``in`` on fields that a mapping reads from a path, events
    are searched for the same values, so that dead letters and filtered events are found as well.
    """

    pipelines: Annotated[list[str], Meta(min_length=1, max_length=100, description="Ids; what they feed follows")]
    reason: Annotated[str, Meta(min_length=1, max_length=500, examples=["request 4711 under GDPR article 17"])]
    where: list[ConditionDocument] | dict[str, Any] = []
    payload: Annotated[list[PayloadDocument], Meta(max_length=8, description="All of them hold")] = []
    seqs: Annotated[list[Annotated[int, Meta(ge=1)]], Meta(max_length=MOST_SEQS)] = []
    dry_run: Annotated[bool, Meta(description="Only find and count")] = False


class ErasedPipeline(msgspec.Struct, frozen=True, kw_only=True):
    """``derived``: its events came from rows of one of the others. ``rows``: in Silver, of these events."""

    pipeline_id: PipelineId
    derived: bool
    events: int
    rows: int
    segments: int
    erased: bool


class AwaitedNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node that has its part of an erasure still before it. ``told``: what it is like to ask it."""

    node: str
    name: str
    told: str


class ErasureView(msgspec.Struct, frozen=True, kw_only=True):
    """``notes``: what the search could not look at. ``error``: why the last attempt failed; it goes on by itself.

    ``waits_for``: nodes that do not answer; it goes on when they are back, or forgotten.
    """

    id: str
    state: ErasureState
    dry_run: bool
    reason: str
    chosen_by: list[str]
    pipelines: list[ErasedPipeline]
    searched_events: int
    total_events: int
    notes: list[str]
    waits_for: list[AwaitedNode]
    created_by: str
    created_at: datetime
    finished_at: datetime | None
    error: str | None


class Wanted(msgspec.Struct, frozen=True):
    """What to look for, as the job keeps it: sealed."""

    where: list[ConditionDocument] = []
    payload: list[PayloadDocument] = []
    seqs: list[int] = []

    @property
    def kinds(self) -> tuple[str, ...]:
        chosen = {"rows": self.where, "payload": self.payload, "seqs": self.seqs}
        return tuple(name for name, given in chosen.items() if given)

    def payload_conditions(self) -> list[PayloadCondition]:
        return [PayloadCondition(one.path, _several(one.value)) for one in self.payload]


def read_request(document: Any, path_problem: Callable[[str], str | None]) -> tuple[ErasureRequest, Wanted]:
    """Return the request and what to look for. Raises Invalid, with every problem."""
    if problems := lint(ErasureRequest, document):
        raise Invalid(problems)
    request = msgspec.convert(document, ErasureRequest)
    where = [ConditionDocument(one.field, one.op, one.value) for one in conditions(request.where)]
    problems = [
        Problem(f"/payload/{place}/path", told)
        for place, one in enumerate(request.payload)
        if (told := path_problem(one.path)) is not None
    ]
    problems += [
        Problem(f"/payload/{place}/value", "expected a string, a number, true or false, or a list of such")
        for place, one in enumerate(request.payload)
        if not _plain(one.value)
    ]
    if not (where or request.payload or request.seqs):
        problems.append(Problem("", "nothing says whose events: give 'where', 'payload' or 'seqs'"))
    if request.seqs and len(request.pipelines) != 1:
        problems.append(Problem("/seqs", "numbers are those of one pipeline: name one alone"))
    if problems:
        raise Invalid(problems)
    return request, Wanted(where, request.payload, sorted(set(request.seqs)))


def payload_of(where: Sequence[ConditionDocument], mapping: Mapping) -> list[PayloadCondition] | None:
    """Return what ``where`` means for the events themselves; None: not every condition can be said of them."""
    if mapping.explode is not None:
        return None
    fields = {field.name: field for field in mapping.fields}
    found = []
    for one in where:
        field = fields.get(one.field)
        if field is None or field.path is None or field.type not in _COMPARABLE or one.op not in _SEARCHED:
            return None
        found.append(PayloadCondition(field.path, _several(one.value)))
    return found


def view_of(erasure: Erasure) -> ErasureView:
    targets = [
        ErasedPipeline(
            pipeline_id=one.pipeline_id,
            derived=one.derived,
            events=one.events,
            rows=one.rows,
            segments=one.segments,
            erased=one.erased,
        )
        for one in erasure.targets
    ]
    return ErasureView(
        id=erasure.id,
        state=erasure.state,
        dry_run=erasure.dry_run,
        reason=erasure.reason,
        chosen_by=list(erasure.chosen_by),
        pipelines=targets,
        searched_events=erasure.searched_events,
        total_events=erasure.total_events,
        notes=list(erasure.notes),
        waits_for=[AwaitedNode(node=one.node_id, name=one.name, told=one.told) for one in erasure.waits_for],
        created_by=erasure.created_by,
        created_at=erasure.created_at,
        finished_at=erasure.finished_at,
        error=erasure.error,
    )


def _several(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else (value,)


def _plain(value: Any) -> bool:
    return bool(_several(value)) and all(isinstance(one, str | int | float | bool) for one in _several(value))
