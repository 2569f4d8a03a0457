"""The file copied while it is committed to: the copy is what it was when it was held."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.errors import TransientError
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.running import until
from tests.silver_batches import PLAIN, batch, filled, row, rows_in


@pytest.fixture
def silver(tmp_path: Path) -> Iterator[DuckDbSilver]:
    store = DuckDbSilver(tmp_path / "org_1.duckdb")
    yield store
    store.close()


def test_what_is_committed_meanwhile_is_not_in_the_copy_and_nothing_waits(silver: DuckDbSilver, tmp_path: Path) -> None:
    filled(silver, 10)
    large = [row(device="x" * 50, n=n) for n in range(20_000)]
    with silver.frozen() as held:
        for first in (11, 20_011, 40_011):  # more than DuckDB's log holds before it would be emptied by itself
            silver.commit(batch(PLAIN, first, large))
        held.check()
        with pytest.raises(TransientError):
            silver.upkeep.compact()
        shutil.copy(held.path, tmp_path / "copy.duckdb")
        assert held.refined == {PLAIN.pipeline_id: 10}
    assert silver.progress(PLAIN.pipeline_id).seq == 60_010
    silver.upkeep.compact()
    copy = DuckDbSilver(tmp_path / "copy.duckdb")
    try:
        assert copy.progress(PLAIN.pipeline_id).seq == 10
        assert rows_in(copy, PLAIN, "n") == [(n,) for n in range(1, 11)]
        assert copy.recount(PLAIN).stored == 10
    finally:
        copy.close()


def test_a_store_that_closes_need_not_wait_for_the_copy(silver: DuckDbSilver) -> None:
    filled(silver, 10)
    closing = threading.Thread(target=silver.close)
    with silver.frozen() as held:
        closing.start()
        until(lambda: silver._database.expelling)
        with pytest.raises(TransientError, match="about to be closed"):
            held.check()
    closing.join(timeout=10)
    assert not closing.is_alive()
