"""The newest rows of a pipeline in memory, and those of before, which are read when it has begun already."""

import pyarrow as pa

from appliance.components.silver import Table
from appliance.domain.ids import PipelineId
from appliance.engine.hot_cache import KEPT_ROWS, HotCache


def rows(first: int, last: int) -> pa.Table:
    return pa.table({"_seq": range(first, last + 1), "_item": [0] * (last - first + 1)})


def seqs(cache: HotCache) -> list[int]:
    return [row["_seq"] for row in cache.rows()]


def test_rows_of_before_stand_before_those_that_came_meanwhile() -> None:
    cache = HotCache(Table(PipelineId("pl_a"), ()))
    cache.add(rows(8, 9))
    cache.begin_with(rows(1, 8))  # read after 8 was stored, and before 9 was
    assert seqs(cache) == list(range(1, 10))


def test_the_newest_stay() -> None:
    cache = HotCache(Table(PipelineId("pl_a"), ()))
    cache.add(rows(101, 150))
    cache.begin_with(rows(1, 100))
    assert seqs(cache) == list(range(51, 151))
    assert len(cache.rows()) == KEPT_ROWS
