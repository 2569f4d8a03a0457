"""Batches for tests of row stores, written as events: what became of each, in a line."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa

from appliance.components.deliveries import CLAIM_SCHEMA
from appliance.components.letters import Amendment
from appliance.components.silver import Batch, Column, Order, RecordQuery, SilverStore, Table
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import FieldType

START = datetime(2026, 1, 1, tzinfo=UTC)
ARROW = {
    FieldType.STRING: pa.string(),
    FieldType.INTEGER: pa.int64(),
    FieldType.FLOAT: pa.float64(),
    FieldType.DECIMAL: pa.decimal128(38, 9),
    FieldType.BOOLEAN: pa.bool_(),
    FieldType.TIMESTAMP: pa.timestamp("us", "UTC"),
    FieldType.JSON: pa.string(),
}


@dataclass(frozen=True)
class Event:
    """``rows``: values of each item that became a row; ``dead``: the reasons of items that did not."""

    rows: Sequence[dict[str, Any]] = ()
    dead: Sequence[str] = ()


def row(**values: Any) -> Event:
    """One event that became one row. ``_time``: START + seq seconds where it is not given; ``_key``: text."""
    return Event((values,))


FILTERED = Event()


def dead(reason: str = "type") -> Event:
    """One event that became a dead letter."""
    return Event((), (reason,))


def table(name: str = "pl_test", *, keyed: bool = False, **columns: FieldType) -> Table:
    chosen = columns or {"device": FieldType.STRING, "n": FieldType.INTEGER}
    return Table(PipelineId(name), tuple(Column(key, kind) for key, kind in chosen.items()), keyed)


PLAIN = table()
KEYED = table("pl_keyed", keyed=True)
EVERY_TYPE = table("pl_types", **{kind.value: kind for kind in FieldType})


def filled(silver: SilverStore, count: int = 10) -> None:
    """Store ``count`` events of PLAIN; ``_time`` is START + seq seconds, ``n`` the sequence number."""
    events = [row(device="even" if n % 2 == 0 else "odd", n=n) for n in range(1, count + 1)]
    silver.commit(batch(PLAIN, 1, events))


def rows_in(silver: SilverStore, of: Table, *fields: str, **query: Any) -> list[tuple[Any, ...]]:
    """Return the rows, oldest first, as tuples of ``fields``."""
    found = silver.records(of, RecordQuery(order=Order.ASC, limit=1000, **query)).to_pylist()
    return [tuple(one[field] for field in fields) for one in found]


def number(of: Table) -> int:
    """Return the generation that a table names."""
    assert of.generation is not None
    return of.generation


def batch(
    of: Table, first_seq: int, events: Sequence[Event], *, version: int = 1, day: date = date(1970, 1, 1)
) -> Batch:
    """Return what the mapping would hand over for ``events``, numbered from ``first_seq``."""
    rows: dict[str, list[Any]] = {name: [] for name in _row_types(of)}
    letters: dict[str, list[Any]] = {name: [] for name in DEAD.names}
    for seq, event in enumerate(events, first_seq):
        for item, values in enumerate(event.rows):
            _add_row(rows, of, (seq, item), values)
        for item, reason in enumerate(event.dead, len(event.rows)):
            _add_letter(letters, (seq, item), reason)
    outcome = Outcome(
        stored=sum(bool(event.rows) and not event.dead for event in events),
        filtered=sum(not event.rows and not event.dead for event in events),
        dead=sum(bool(event.dead) for event in events),
    )
    arrow = pa.table({name: pa.array(rows[name], kind) for name, kind in _row_types(of).items()})
    last_seq = first_seq + len(events) - 1
    return Batch(of, version, first_seq, last_seq, arrow, pa.Table.from_pydict(letters, DEAD), outcome, day)


def amendment(of: Table, events: Mapping[int, Event], version: int = 2) -> Amendment:
    """Return what refining ``events`` (by sequence number) again would hand over."""
    one_each = [batch(of, seq, [event]) for seq, event in sorted(events.items())]
    rows, letters = ([getattr(one, part) for one in one_each] for part in ("rows", "dead"))
    return Amendment(of, version, sorted(events), pa.concat_tables(rows), pa.concat_tables(letters))


def delivered(of: Batch, *deliveries: tuple[str | None, int], at: datetime = START) -> Batch:
    """Return ``of``, whose events came in these deliveries: the sender's id, and how many events."""
    lines: list[tuple[bytes, int, int, int, datetime]] = []
    seq = of.first_seq
    for name, events in deliveries:
        if name is not None:
            lines.append((key(f"{of.table.pipeline_id}/{name}"), seq, seq, seq + events - 1, at))
        seq += events
    assert seq == of.last_seq + 1
    columns = zip(*lines, strict=True) if lines else ([] for _ in CLAIM_SCHEMA)
    claims = pa.Table.from_arrays([pa.array(one) for one in columns], CLAIM_SCHEMA.names).cast(CLAIM_SCHEMA)
    return msgspec.structs.replace(of, claims=claims)


DEAD = pa.schema(
    [
        ("seq", pa.int64()), ("item", pa.int32()), ("reason", pa.string()), ("field", pa.string()),
        ("value", pa.string()), ("message", pa.string()), ("problems", pa.string()),
        ("received_at", pa.timestamp("us", "UTC")), ("version", pa.int32()),
    ]
)  # fmt: skip


def key(text: str) -> bytes:
    """Return the 16 bytes that stand for a key."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _row_types(of: Table) -> dict[str, pa.DataType]:
    types = {"_time": ARROW[FieldType.TIMESTAMP], "_seq": pa.int64(), "_item": pa.int32()}
    if of.keyed:
        types["_key"] = pa.binary(16)
    return {**types, "_extra": pa.string(), **{column.name: ARROW[column.type] for column in of.columns}}


def _add_row(rows: dict[str, list[Any]], of: Table, place: tuple[int, int], values: dict[str, Any]) -> None:
    seq, item = place
    rows["_time"].append(values.get("_time", START + timedelta(seconds=seq % 2**44)))
    rows["_seq"].append(seq)
    rows["_item"].append(item)
    if of.keyed:
        rows["_key"].append(key(values["_key"]) if values.get("_key") is not None else None)
    rows["_extra"].append(values.get("_extra"))
    for column in of.columns:
        rows[column.name].append(values.get(column.name))


def _add_letter(letters: dict[str, list[Any]], place: tuple[int, int], reason: str) -> None:
    seq, item = place
    problem = {"reason": reason, "field": "n", "value": "abc", "message": "expected an integer, got 'abc'"}
    told = {
        "problems": json.dumps([problem]),
        "received_at": START + timedelta(seconds=seq % 2**44),
        "version": 1,
        **problem,
    }
    for name, value in {"seq": seq, "item": item, **told}.items():
        letters[name].append(value)
