"""A new pipeline as it is typed: what fields each kind of source has, and the document they make."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from appliance.domain.mapping import Mapping as MappingDocument
from appliance.services.sample import THIS_HOST

SOURCES: Final = (
    ("webhook", "webhook", "Webhook", "Other systems post signed events to an address of this appliance."),
    ("http_poll", "poll", "HTTP poll", "An API is asked for new items, page by page, on a schedule."),
    ("graphql_poll", "spark", "GraphQL", "A GraphQL server is asked one query, page by page, on a schedule."),
    ("pipeline", "flow", "Another pipeline", "The rows of a pipeline you have, each exactly once, as they come."),
    ("host_metrics", "host", "Host metrics", "CPU, memory, disk and network of this machine, every second."),
)
EMPTY: Final = {
    "source": "webhook", "name": "", "signature": "standard_webhooks", "url": "", "pace": "interval", "when": "1m",
    "items": "", "query": "", "connection": "", "pipeline": "", "start": "beginning",
}  # fmt: skip
PLACES: Final = {
    "/name": "name", "/source/url": "url", "/source/interval": "when", "/source/cron": "when", "/source/items": "items",
    "/source/signature": "signature", "/source/query": "query", "/source/pagination/connection": "connection",
    "/source/pipeline": "pipeline", "/source/start": "start",
}  # fmt: skip
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Draft:
    """What was typed so far; ``values`` by field name. ``upstream``: the mappings of pipelines that can be read."""

    values: dict[str, str]
    upstream: Mapping[str, MappingDocument]

    def document(self) -> dict[str, Any]:
        """Return the pipeline document, with a mapping where one is known that fits; others get theirs later."""
        kind = self.values["source"]
        source = {"type": kind, **_SOURCES[kind](self.values)} if kind in _SOURCES else {"type": kind}
        return {"name": self.values["name"].strip(), "source": source, "mapping": self._mapping(kind)}

    def _mapping(self, kind: str) -> dict[str, Any]:
        if kind == "host_metrics":
            mapping: dict[str, Any] = THIS_HOST["mapping"]
            return mapping
        read = self.upstream.get(self.values["pipeline"]) if kind == "pipeline" else None
        return passed_on(read) if read is not None else {}


def passed_on(mapping: MappingDocument) -> dict[str, Any]:
    """Return the mapping that takes the rows of a pipeline with ``mapping`` as they are."""
    fields: list[dict[str, Any]] = []
    for field in mapping.fields:
        path = f"$.{field.name}" if _PLAIN.fullmatch(field.name) else f"$['{field.name}']"
        unit = {"unit": field.unit} if field.unit else {}
        fields.append({"name": field.name, "path": path, "type": field.type.value, **unit})
    return {"time": {"path": "$._time"}, "fields": fields, "unmapped": "drop"}


def _typed(values: Mapping[str, str], names: Sequence[str]) -> dict[str, Any]:
    return {name: values[name].strip() for name in names if values[name].strip()}


def _polled(values: Mapping[str, str]) -> dict[str, Any]:
    pace = "cron" if values["pace"] == "cron" else "interval"
    return {"url": values["url"].strip(), pace: values["when"].strip(), **_typed(values, ["items"])}


def _graphql(values: Mapping[str, str]) -> dict[str, Any]:
    connection = values["connection"].strip()
    pages = {"pagination": {"type": "relay", "connection": connection}} if connection else {}
    return {**_polled(values), "query": values["query"].strip(), **pages}


_SOURCES: Final[dict[str, Callable[[Mapping[str, str]], dict[str, Any]]]] = {
    "webhook": lambda values: {"signature": values["signature"]},
    "http_poll": _polled,
    "graphql_poll": _graphql,
    "pipeline": lambda values: {"pipeline": values["pipeline"], "start": values["start"]},
}
