"""Dashboard documents: what a widget is, judged whole."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from appliance.components.lint import lint
from appliance.domain.clock import utc_now
from appliance.errors import Invalid, Problem
from appliance.services.query_documents import QueryDocument, span_of

MOST_WIDGETS: Final = 60


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From ``value`` on, the widget takes this colour."""

    value: float
    colour: Literal["warn", "bad"]


class Widget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    id: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$", examples=["cpu"])]
    title: Annotated[str, Meta(max_length=120, examples=["CPU"])]
    type: Literal["timeseries", "stat", "table"]
    query: QueryDocument
    unit: Annotated[str, Meta(max_length=24, examples=["%"])] | None = None
    span: Annotated[int, Meta(ge=1, le=4, description="Columns of four")] = 1
    thresholds: Annotated[list[Threshold], Meta(max_length=10)] = []


class DashboardDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /api/v1/dashboards``."""

    name: Annotated[str, Meta(min_length=1, max_length=100, examples=["This host"])]
    widgets: Annotated[list[Widget], Meta(max_length=MOST_WIDGETS)] = []


def read_dashboard(document: Any) -> DashboardDocument:
    """Return the document's parts. Raises Invalid, with every problem."""
    if problems := lint(DashboardDocument, document):
        raise Invalid(problems)
    decoded = msgspec.convert(document, DashboardDocument)
    if problems := _problems(decoded):
        raise Invalid(problems)
    return decoded


def _problems(document: DashboardDocument) -> list[Problem]:
    problems, seen = [], set()
    for place, widget in enumerate(document.widgets):
        pointer = f"/widgets/{place}"
        if widget.id in seen:
            problems.append(Problem(f"{pointer}/id", f"two widgets have the id {widget.id!r}"))
        seen.add(widget.id)
        if widget.type == "timeseries" and widget.query.bucket is None:
            problems.append(Problem(f"{pointer}/query/bucket", "a time series needs a bucket such as '10s'"))
        _, wrong = span_of(widget.query, utc_now())
        problems += [msgspec.structs.replace(one, pointer=f"{pointer}/query{one.pointer}") for one in wrong]
    return problems
