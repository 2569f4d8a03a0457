"""The mapping document: how an event becomes rows. Types only; ``appliance.mapping`` checks and compiles it."""

from enum import Enum
from typing import Annotated, Any

import msgspec
from msgspec import Meta


class FieldType(Enum):
    """What a field holds in Silver."""

    STRING = "string"
    INTEGER = "integer"  # 64 bits, signed
    FLOAT = "float"  # IEEE 754 double; never NaN or infinite
    DECIMAL = "decimal"  # 38 digits, 9 of them after the point
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"  # UTC, µs
    JSON = "json"  # JSON text


class Unmapped(Enum):
    """What happens to the parts of an event that no field reads."""

    KEEP = "keep"  # into the JSON column ``_extra``
    DROP = "drop"
    REJECT = "reject"  # the event becomes a dead letter


class Contract(Enum):
    """What happens where events drift from the mapping: a field it does not know, a value that does not fit its type.

    Without a contract ``unmapped`` says what becomes of unknown fields, and a value that does not fit is a dead letter.
    Whatever is left out of a row stays in Bronze and is counted as drift. A required field that is missing or does not
    fit is a dead letter under every contract.
    """

    EVOLVE = "evolve"  # unknown fields go into ``_extra``; a misfit reads as null and is kept there as ``_variant``
    FREEZE = "freeze"  # refining stops before the first event that drifts, until somebody decides; receiving goes on
    DISCARD_ROW = "discard_row"  # the event is a dead letter with the reason ``contract``
    DISCARD_VALUE = "discard_value"  # unknown fields are left out; a misfit reads as null and is kept as ``_variant``


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One column: read from a ``path`` in the event, or computed by ``expr`` from other fields."""

    name: Annotated[str, Meta(description="Column name", min_length=1, max_length=63, examples=["temp_c"])]
    type: FieldType
    path: Annotated[str, Meta(description="JSONPath of the value", examples=["$.sensor.temp[0]"])] | None = None
    expr: Annotated[str, Meta(description="SQL scalar expression", examples=["(temp_f - 32) * 5 / 9"])] | None = None
    required: Annotated[bool, Meta(description="A missing or null value makes the event a dead letter")] = False
    min: Annotated[float, Meta(description="Least value allowed (numbers only)")] | None = None
    max: Annotated[float, Meta(description="Greatest value allowed (numbers only)")] | None = None
    enum: Annotated[list[Any], Meta(description="The values allowed")] | None = None
    unit: Annotated[str, Meta(description="Unit shown beside the value", examples=["°C"])] | None = None
    description: str | None = None


class TimeField(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Where an event's own time stands. Missing or null in an event: the moment of receipt."""

    path: str
    format: Annotated[
        str, Meta(description="auto, rfc3339, unix_s, unix_ms, unix_us, unix_ns, or a strptime pattern")
    ] = "auto"


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The whole mapping. ``explode`` names an array: each element becomes a row, and below that path other paths read
    the element, as if the array had been replaced by it. ``key``: of rows that agree in it, the last one wins.
    A name in ``expr``, ``where`` or ``key`` that no field declares is the event's top-level value of that name.
    """

    fields: list[Field] = []
    time: TimeField | None = None
    explode: str | None = None
    where: str | None = None
    key: list[str] = []
    unmapped: Unmapped = Unmapped.KEEP
    contract: Contract | None = None
