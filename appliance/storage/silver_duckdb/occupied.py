"""How much of the disk a database occupies, and how much of that holds nothing."""

import re
import shutil
from pathlib import Path
from typing import Final

import duckdb

from appliance.components.upkeep import StoreSize
from appliance.domain.ids import PipelineId
from appliance.storage.silver_duckdb.schema import quoted
from appliance.storage.silver_duckdb.set_aside import log_files

_BLOCKS: Final = "SELECT block_size, used_blocks, free_blocks FROM pragma_database_size()"
_TABLES: Final = "SELECT table_name, estimated_size FROM duckdb_tables() WHERE NOT internal AND NOT temporary"
_BLOCKS_OF: Final = "SELECT count(DISTINCT block_id) FROM pragma_storage_info($table) WHERE persistent"
_STILL_TRUE: Final = 0.05  # of its rows a table may gain or lose before its blocks are counted again


def file_bytes(path: Path) -> int:
    """Return what the file system has given to the database and its logs."""
    files = [path, *log_files(path)]
    return sum(file.stat().st_blocks * 512 for file in files if file.exists())


def used_bytes(cursor: duckdb.DuckDBPyConnection) -> int:
    """Return the blocks that hold something: what the file would be without the others."""
    block, used, _ = cursor.execute(_BLOCKS).fetchall()[0]
    return int(block * used)


def free_bytes(folder: Path) -> int:
    """Return what the file system has left."""
    return shutil.disk_usage(folder).free


class Sizes:
    """Measures a database; counting a large table's blocks takes a while, so they are remembered with its rows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[int, int]] = {}  # table → rows, blocks

    def measure(self, cursor: duckdb.DuckDBPyConnection) -> StoreSize:
        """Return what the file occupies. Rows since the last checkpoint are in the log and in no pipeline's share."""
        block, _, free = cursor.execute(_BLOCKS).fetchall()[0]
        owners = cursor.execute("SELECT DISTINCT pipeline_id FROM _generations ORDER BY 1").fetchall()
        pipelines = {PipelineId(pipeline_id): 0 for (pipeline_id,) in owners}
        gold = dict(pipelines)
        for table, rows in cursor.execute(_TABLES).fetchall():
            kind, owner = _owner(table)
            if owner in pipelines:
                (gold if kind == "gold" else pipelines)[owner] += self._blocks(cursor, table, rows) * block
        return StoreSize(file_bytes(self._path), free * block, pipelines, gold)

    def _blocks(self, cursor: duckdb.DuckDBPyConnection, table: str, rows: int) -> int:
        counted, blocks = self._known.get(table, (-1, 0))
        if counted < 0 or abs(rows - counted) > _STILL_TRUE * counted:
            blocks = cursor.execute(_BLOCKS_OF, {"table": quoted(table)}).fetchall()[0][0]
            self._known[table] = (rows, blocks)
        return blocks


def _owner(table: str) -> tuple[str, PipelineId]:
    """Return what a table holds, and of which pipeline: <kind>_<pipeline>, and whatever follows after # or a dot."""
    kind, _, rest = table.partition("_")
    return kind, PipelineId(re.split("[#.]", rest)[0])
