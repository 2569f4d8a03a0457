"""What tables and columns are called in statements that go with values: quoted, and ``%`` doubled for the driver."""

from collections.abc import Iterable
from typing import Final

from appliance.domain.ids import PipelineId
from appliance.storage.sql.postgresql import PostgreSql
from appliance.storage.sql.postgresql import quoted as identifier
from appliance.storage.sql.source import dead_table, physical_name, rows_table

DIALECT: Final = PostgreSql()  # tables are found by the search path, which each transaction sets


def quoted(told: str) -> str:
    """Return the name of a table as SQL."""
    return identifier(told).replace("%", "%%")


def column(told: str) -> str:
    """Return as SQL what a column of a rows table is called that ``physical_name`` calls ``told``."""
    return quoted(DIALECT.physical(told))


def columns(told: Iterable[str]) -> str:
    """Return several columns as SQL."""
    return ", ".join(map(column, told))


def tables(pipeline_id: PipelineId, number: int) -> dict[str, str]:
    """Return the tables of a generation as SQL, for statements with ``{rows}`` and ``{dead}``."""
    return {"rows": quoted(rows_table(pipeline_id, number)), "dead": quoted(dead_table(pipeline_id, number))}


__all__ = ["DIALECT", "column", "columns", "physical_name", "quoted", "tables"]
