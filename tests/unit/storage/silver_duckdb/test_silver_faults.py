"""What DuckDB's errors mean: who is interrupted by a file that is opened again tries again."""

import duckdb
import pytest

from appliance.errors import DashError, FatalError, TransientError
from appliance.storage.silver_duckdb.faults import translated


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (duckdb.InterruptException("INTERRUPT Error: Interrupted!"), TransientError),
        (duckdb.ConnectionException("Connection Error: Connection already closed!"), TransientError),
        (duckdb.BinderException("Binder Error: no such column"), FatalError),
    ],
)
def test_who_is_interrupted_tries_again(error: duckdb.Error, meaning: type[DashError]) -> None:
    told = translated(error, "storing rows of pl_1")
    assert type(told) is meaning
    assert str(told).startswith("Storing rows of pl_1")
