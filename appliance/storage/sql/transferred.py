"""What is moved between stores, by the names that both have for it: physical columns of rows, sheets of rollups."""

from collections.abc import Iterator, Mapping
from typing import Final

import pyarrow as pa

from appliance.components.arrow import ARROW_TYPES, INSTANT
from appliance.components.silver import Column, Table
from appliance.components.transfer import SHEET, Stock
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType
from appliance.storage.sql.gold import Op, Sheet, State
from appliance.storage.sql.source import physical_name

WHOLE: Final = pa.decimal128(38, 0)  # sums of integers; and places, as DuckDB numbers them
_COUNTS: Final = frozenset({Op.ROWS, Op.SEQ, Op.COUNT})


def physical_columns(stock: Stock) -> dict[str, FieldType]:
    """Return the physical columns of rows: of one that was widened, each that it has had."""
    return {
        physical_name(name, types[: place + 1]): types[place]
        for name, types in stock.columns
        for place in range(len(types))
    }


def column_history(stock: Stock, pipeline_id: PipelineId, *, keyed: bool) -> Iterator[Table]:
    """Yield the tables that have to be made of each other, in this order, to have the columns of ``stock``."""
    longest = max((len(types) for _, types in stock.columns), default=1)
    for place in range(longest):
        columns = (Column(name, types[place]) for name, types in stock.columns if place < len(types))
        yield Table(pipeline_id, tuple(columns), keyed)


def sheet_schema(sheet: Sheet) -> pa.Schema:
    """Return the columns of what is moved of a sheet; all of it is of ``Part.KEPT``."""
    keys = [(key.name, ARROW_TYPES[key.type]) for key in sheet.keys]
    states = [(state.name, _state_type(state)) for state in sheet.states]
    return pa.schema([("_time", INSTANT), *keys, *states], metadata={SHEET: sheet.name})


def sheet_name(part: pa.Table) -> str:
    """Return the sheet that a part is of."""
    metadata: Mapping[bytes, bytes] = part.schema.metadata
    return metadata[SHEET].decode()


def _state_type(state: State) -> pa.DataType:
    if state.op in _COUNTS:
        return pa.int64()
    if state.op is Op.PLACE:
        return WHOLE
    if state.op is Op.REST or state.field is None:
        return pa.float64()
    if state.op is Op.SUM and state.field.type is FieldType.INTEGER:
        return WHOLE
    return ARROW_TYPES[state.field.type]
