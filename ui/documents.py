"""Pipelines as the JSON document people edit, and places in JSON text."""

import json
from json.decoder import WHITESPACE, JSONDecoder, scanstring  # type: ignore[attr-defined]
from typing import Any, Final

import msgspec

from appliance.domain.mapping import Mapping
from appliance.services.views import PipelineView

_DECODER: Final = JSONDecoder()


def document_of(view: PipelineView) -> dict[str, Any]:
    """Return the document of a pipeline as ``replace`` takes it; secrets stay masked."""
    document: dict[str, Any] = {"name": view.name}
    if view.description:
        document["description"] = view.description
    document |= {"source": view.source, "mapping": mapping_document(view.mapping), "persist": view.persist}
    if view.sinks:
        document["sinks"] = view.sinks
    retention = msgspec.to_builtins(view.retention)
    if retention:
        document["retention"] = retention
    if view.rate_limit is not None:
        document["rate_limit"] = msgspec.to_builtins(view.rate_limit)
    if view.rollups:
        document["rollups"] = msgspec.to_builtins(view.rollups)
    chunks = msgspec.to_builtins(view.chunks)
    if chunks:
        document["chunks"] = chunks
    return document


def mapping_document(mapping: Mapping) -> dict[str, Any]:
    """Return a mapping as people write it: 0, not 0.0."""
    document: dict[str, Any] = msgspec.to_builtins(mapping)
    for field in document.get("fields", []):
        for name in ("min", "max"):
            bound = field.get(name)
            if isinstance(bound, float) and bound.is_integer():
                field[name] = int(bound)
    return document


def indented(payload: bytes) -> str:
    """Return what was received for people: JSON with two spaces, its numbers and keys as they came; else as it is."""
    try:
        return msgspec.json.format(payload, indent=2).decode()
    except ValueError:
        return payload.decode("utf-8", "replace")


def pretty(document: Any) -> str:
    """Return JSON text for people: two spaces, no escapes of what is readable."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def line_of(text: str, pointer: str) -> int:
    """Return the line (from 1) of the JSON ``text`` on which the value at ``pointer`` begins, or what is left of it."""
    at = _skip(text, 0)
    for token in pointer.split("/")[1:]:
        found = _child(text, at, token.replace("~1", "/").replace("~0", "~"))
        if found is None:
            break
        at = found
    return text.count("\n", 0, at) + 1


def _child(text: str, at: int, token: str) -> int | None:
    """Return where the member or element ``token`` of the container that begins at ``at`` begins."""
    if text[at] not in "{[":
        return None
    named, place = text[at] == "{", 0
    at = _skip(text, at + 1)
    while text[at] not in "}]":
        name = str(place)
        if named:
            name, at = scanstring(text, at + 1)
            at = _skip(text, _skip(text, at) + 1)  # over the colon
        if name == token:
            return at
        at = _skip(text, _DECODER.raw_decode(text, at)[1])
        if text[at] == ",":
            at = _skip(text, at + 1)
        place += 1
    return None


def _skip(text: str, at: int) -> int:
    match = WHITESPACE.match(text, at)
    return match.end() if match else at
