"""What a pipeline's chunks must hold to: judged whole, every problem at its place."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec

from appliance.components.lint import suggest
from appliance.domain.chunks import LEAST, MOST, NEVER, chunk_rules, is_never
from appliance.domain.mapping import FieldType, Mapping
from appliance.domain.pipeline import Chunks
from appliance.domain.quantity import format_duration, parse_duration
from appliance.errors import Problem


def chunk_problems(chunks: Any, mapping: Mapping, pointer: str) -> Iterator[Problem]:
    """Yield what is wrong with ``chunks`` for rows of ``mapping``; the types of its parts are judged elsewhere."""
    if not isinstance(chunks, dict):
        return
    for name, most in MOST.items():
        text, named = chunks.get(name), NEVER if name == "compress_after" else None
        if isinstance(text, str) and not (named and is_never(text)):
            yield from _duration_problems(text, most, f"{pointer}/{name}", named)
    if isinstance(field := chunks.get("order_by"), str):
        yield from _order_problems(field, mapping, f"{pointer}/order_by")


def apache_problems(document: Any) -> list[Problem]:
    """Return what ``document`` asks for that the Apache-licensed edition does not have."""
    said, told = msgspec.convert(document, Chunks), "the server runs the Apache-licensed edition, which has no"
    leave = "leave it out, or change timescaledb.license to 'timescale' on the server"
    rules = chunk_rules(said)
    return [
        Problem(f"/{name}", f"{told} {what}", leave)
        for name, what, asked in (
            ("compress_after", "columnstore", rules.compress_after is not None),
            ("order_by", "columnstore", rules.order_by is not None),
            ("views", "continuous aggregates", bool(rules.views)),
        )
        if asked
    ]


def _duration_problems(text: str, most: timedelta, pointer: str, named: str | None) -> Iterator[Problem]:
    other = f"or {named!r}" if named else None
    try:
        given = parse_duration(text)
    except ValueError as error:
        yield Problem(pointer, str(error), other)
        return
    if not LEAST <= given <= most:
        bounds = f"from {format_duration(LEAST)} to {format_duration(most)}"
        yield Problem(pointer, f"expected a duration {bounds}, got {text!r}", other)


def _order_problems(name: str, mapping: Mapping, pointer: str) -> Iterator[Problem]:
    fields = {field.name: field.type for field in mapping.fields}
    if name not in fields:
        yield Problem(pointer, f"the mapping has no field {name!r}", suggest(name, list(fields)))
    elif fields[name] is FieldType.JSON:
        yield Problem(pointer, f"{name!r} is JSON, which has no order", "name a field of another type")
