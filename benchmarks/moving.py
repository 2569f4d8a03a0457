"""Rows moved from DuckDB into PostgreSQL and back, compared on arrival, beside COPY of the same rows by the server.

A server of its own with the settings of the distribution (``fsync`` on). ``python -m benchmarks.moving`` prints the
figures alone.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import psycopg

from appliance.components.transfer import Transferable
from appliance.domain.ids import OrganisationId
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.moving.progress import Count, Doing, Step
from appliance.moving.rows import Cargo, Held, carry
from appliance.storage.silver_duckdb.store import DuckDbSilver
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from benchmarks.postgresql import _PLAIN, TABLE, _batch, _file  # the same rows as the store is measured with
from benchmarks.report import Figure
from tests.postgres import PostgresServer, postgres_server

ROWS, A_COMMIT = 1_000_000, 100_000
COUNTED = msgspec.structs.replace(
    TABLE,
    rollups=(
        Rollup(name="by_minute", bucket="1m", group_by=["device"], measures=[RollupMeasure(op="avg", field="temp_c")]),
    ),
)


def figures() -> Iterator[Figure]:
    with postgres_server({"fsync": "on"}) as server, TemporaryDirectory() as name:
        folder, connections = Path(name), Connections(server.url(), size=4)
        folder.chmod(0o755)
        source = DuckDbSilver(folder / "source.duckdb")
        for first in range(1, ROWS + 1, A_COMMIT):
            source.commit(_batch(COUNTED, first, A_COMMIT))
        there = PostgresSilver(connections, "dash_org_bench")
        back = DuckDbSilver(folder / "back.duckdb")
        yardstick = _yardstick(server, folder)
        yield Figure("moving: COPY by the server from a file", yardstick, "rows/s")
        yield from _moved("DuckDB to PostgreSQL", source, there, yardstick)
        yield from _moved("PostgreSQL to DuckDB", there, back, yardstick)
        source.close()
        back.close()
        connections.close()


def _yardstick(server: PostgresServer, folder: Path) -> float:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        for table in ("by_column", "yardstick"):
            connection.execute(_PLAIN.format(table))
        file = _file(connection, folder, _batch(COUNTED, 1, A_COMMIT).rows)
        began = time.perf_counter()
        for _ in range(3):
            connection.execute(f"COPY yardstick FROM '{file}'")
        return 3 * A_COMMIT / (time.perf_counter() - began)


def _moved(name: str, source: Transferable, target: Transferable, yardstick: float) -> Iterator[Figure]:
    (stock,) = source.transfer.stocks()
    load = Cargo(Held(OrganisationId("org_bench"), "bench", COUNTED), stock)
    began = time.perf_counter()
    compared: list[float] = []

    def told(step: Step) -> None:
        if step.doing is Doing.COMPARING and not compared:
            compared.append(time.perf_counter())

    carry(load, source, target, Count(2 * load.lines, told))
    took, copied = time.perf_counter() - began, compared[0] - began
    yield Figure(f"moving: {name}, copied and compared", ROWS / took, "rows/s", remark=f"{took:.1f} s a million rows")
    yield Figure("  copied, rollup counted, ledger compared", ROWS / copied, "rows/s")
    yield Figure("  the whole as a ratio to the server's own COPY", ROWS / took / yardstick, "×")


if __name__ == "__main__":
    for figure in figures():
        print(figure, flush=True)
