"""Finds events by what their payloads hold, as they were received: one DuckDB query for many, no loop over them."""

import re
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from appliance.domain.erasure import PayloadCondition
from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId
from appliance.mapping import sandbox, sql
from appliance.mapping.frames import check_lines, to_arrow
from appliance.mapping.path import Path, PathError, parse_path

_MEMORY: Final = "256MB"
_ANY: Final = "[*]"
_EXACT: Final = 1 << 53  # from here on two integers may be one floating-point number
_PLAIN_KEY: Final = re.compile(r'[^"\\\x00]+')
_LINES: Final = """
WITH split AS (
    SELECT unnest(string_split(lines, chr(10))) AS raw, unnest(range(first_seq, first_seq + count)) AS seq FROM frames
), event AS (SELECT seq, CASE WHEN json_valid(raw) THEN raw END AS raw FROM split)
"""


class PayloadSearch:
    """An in-memory DuckDB of its own for each search; see ``services.ports.PayloadFinder``."""

    def problem(self, path: str) -> str | None:
        """Return what is wrong with a path; None: it can be searched."""
        try:
            _where(path)
        except PathError as error:
            return str(error)
        return None

    def matching(self, frames: Sequence[Frame], wanted: Sequence[PayloadCondition]) -> list[int]:
        """Return the events for which every condition holds, ascending; blocking."""
        holds = " AND ".join(_condition(place, one) for place, one in enumerate(wanted))
        given = {f"wanted{place}": _values(one.values) for place, one in enumerate(wanted)}
        return _found(frames, given, holds)

    def derived(self, frames: Sequence[Frame], upstream: PipelineId, seqs: Sequence[int]) -> list[int]:
        """Return the events that came from rows of these events of another pipeline, ascending; blocking."""
        given = {"upstream": pa.table({"seq": pa.array(seqs, pa.int64())})}
        pipeline, seq = (f"json_extract_string(raw, '/_{name}')" for name in ("pipeline", "seq"))
        chosen = f"TRY_CAST({seq} AS BIGINT) IN (SELECT seq FROM upstream)"  # noqa: S608 - a constant
        holds = f"{pipeline} = {sql.text(upstream)} AND {chosen}"
        return _found(frames, given, holds)


def _found(frames: Sequence[Frame], given: dict[str, pa.Table], holds: str) -> list[int]:
    readable = [frame for frame in frames if frame.damaged is None]
    if not readable:
        return []
    check_lines(readable)
    query = f"{_LINES} SELECT seq FROM event WHERE raw IS NOT NULL AND ({holds}) ORDER BY seq"  # noqa: S608 - quoted
    with sandbox.connect(1, _MEMORY) as connection:
        for name, table in {**given, "frames": to_arrow(readable)}.items():
            connection.register(name, table)
        seqs: list[int] = connection.sql(query).to_arrow_table().column(0).to_pylist()
    return seqs


def _condition(place: int, one: PayloadCondition) -> str:
    """Return SQL that holds where the value is among those wanted: as text, as a number, or as true or false."""
    where, many = _where(one.path)
    values = f"json_extract_string(raw, {sql.text(where)})"
    if not many:
        values = f"[{values}]"
    text = f"(SELECT list(text) FROM wanted{place})"  # noqa: S608 - a number
    numbers = f"(SELECT list(number) FROM wanted{place} WHERE number IS NOT NULL)"  # noqa: S608 - a number
    as_text = f"coalesce(list_has_any({values}, {text}), false)"
    cast = f"list_transform({values}, lambda one: TRY_CAST(one AS DOUBLE))"
    return f"({as_text} OR coalesce(list_has_any({cast}, {numbers}), false))"


def _values(values: Sequence[Any]) -> pa.Table:
    """Return what is wanted as text, and as numbers where those are exact: 1 is found as 1.0 too."""
    exact = [one if isinstance(one, int | float) and not isinstance(one, bool) else None for one in values]
    numbers = [float(one) if one is not None and abs(one) < _EXACT else None for one in exact]
    texts = [str(one).lower() if isinstance(one, bool) else str(one) for one in values]
    return pa.table({"text": pa.array(texts, pa.string()), "number": pa.array(numbers, pa.float64())})


def _where(path: str) -> tuple[str, bool]:
    """Return ``path`` as DuckDB reads it, and whether it leads to many values. Raises PathError."""
    if _ANY not in path:
        return parse_path(path).pointer, False
    first, *rest = path.split(_ANY)
    parts = [parse_path(first), *(parse_path("$" + part) for part in rest)]
    return "$" + _ANY.join(_steps(part) for part in parts), True


def _steps(path: Path) -> str:
    for step in path.steps:
        if isinstance(step, str) and not _PLAIN_KEY.fullmatch(step):
            raise PathError(f"beside [*] a name may hold no quotes or backslashes, and {step!r} does")
    return "".join(f"[{step}]" if isinstance(step, int) else f'."{step}"' for step in path.steps)
