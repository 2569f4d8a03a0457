"""Dead letters, from the table a store or a mapper answers to what people see."""

from typing import TYPE_CHECKING, Any

import msgspec

from appliance.services.views import DeadLetter

if TYPE_CHECKING:
    import pyarrow as pa


def dead_letters_of(table: "pa.Table") -> list[DeadLetter]:
    """Return one dead letter for each row of ``table`` (columns of ``components.silver.Batch.dead``)."""
    return [_dead_letter(row) for row in table.to_pylist()]


def _dead_letter(row: dict[str, Any]) -> DeadLetter:
    problems = msgspec.json.decode(row["problems"]) if row["problems"] else []
    return DeadLetter(
        seq=row["seq"],
        item=row["item"],
        reason=row["reason"],
        field=row["field"],
        value=row["value"],
        message=row["message"],
        problems=problems,
        received_at=row["received_at"],
        version=row["version"],
    )
