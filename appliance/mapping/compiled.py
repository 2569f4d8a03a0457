"""A mapping that is ready to run: its query, and the shape of what it answers."""

import msgspec
import pyarrow as pa

from appliance.components.arrow import ARROW_TYPES, INSTANT
from appliance.components.silver import Column
from appliance.domain.mapping import Mapping
from appliance.errors import Invalid, Problem
from appliance.mapping.analysis import analyse
from appliance.mapping.program import Program


class CompiledMapping(msgspec.Struct, frozen=True):
    """``sql`` answers the rows (with a last column ``_state``), ``words_sql`` the dead letters of those that are bad.

    ``columns``: the fields in the order of the document; ``keyed``: rows have ``_key``; ``explodes``: an event may give
    several rows.
    """

    columns: tuple[Column, ...]
    keyed: bool
    explodes: bool
    sql: str
    words_sql: str

    @property
    def schema(self) -> pa.Schema:
        """Return the shape of the rows: system columns, then the fields."""
        system = [("_time", INSTANT), ("_seq", pa.int64()), ("_item", pa.int32())]
        if self.keyed:
            system.append(("_key", pa.binary(16)))
        system.append(("_extra", pa.string()))
        return pa.schema([*system, *((column.name, ARROW_TYPES[column.type]) for column in self.columns)])


def check(mapping: Mapping, pointer: str = "/mapping") -> list[Problem]:
    """Return everything that is wrong with ``mapping``; ``pointer`` is its place in the document it belongs to."""
    return analyse(mapping, pointer)[1]


def compile_mapping(mapping: Mapping) -> CompiledMapping:
    """Return ``mapping`` ready to run.

    Raises:
        Invalid: ``mapping`` is wrong, with every problem.
    """
    plan, problems = analyse(mapping, "/mapping")
    if plan is None:
        raise Invalid(problems)
    program = Program(plan)
    columns = tuple(Column(field.name, field.type, field.unit) for field in mapping.fields)
    return CompiledMapping(columns, bool(plan.key), plan.explode is not None, program.rows, program.words)
