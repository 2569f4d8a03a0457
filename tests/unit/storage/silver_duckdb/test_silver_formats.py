"""Files that an earlier version wrote are brought up to date when they are opened."""

from pathlib import Path

import duckdb
import pytest

from appliance.components.generations import Span
from appliance.components.silver import DeadLetterQuery, Progress
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.silver_batches import PLAIN, batch, row, rows_in, table

# What format 1 made of a pipeline with two rows, a filtered event and a dead letter, and of one only prepared.
FORMAT_1 = """
CREATE TABLE _format (format INTEGER NOT NULL);
INSERT INTO _format VALUES (1);
CREATE TABLE _progress (
    pipeline_id VARCHAR NOT NULL, seq BIGINT NOT NULL, stored BIGINT NOT NULL, filtered BIGINT NOT NULL,
    duplicate BIGINT NOT NULL, dead BIGINT NOT NULL, updated_at TIMESTAMPTZ NOT NULL
);
INSERT INTO _progress VALUES ('pl_test', 4, 2, 1, 0, 1, TIMESTAMPTZ '2026-11-20 10:00:00+00');
CREATE TABLE rows_pl_test (
    _time TIMESTAMPTZ NOT NULL, _seq BIGINT NOT NULL, _item INTEGER NOT NULL, _key UUID, _extra JSON,
    device VARCHAR, n BIGINT
);
INSERT INTO rows_pl_test VALUES (TIMESTAMPTZ '2026-11-20 09:00:00+00', 1, 0, NULL, NULL, 'a', 1),
    (TIMESTAMPTZ '2026-11-20 09:00:01+00', 4, 0, NULL, NULL, 'b', 2);
CREATE TABLE dead_pl_test (
    seq BIGINT NOT NULL, item INTEGER NOT NULL, reason VARCHAR NOT NULL, field VARCHAR, value VARCHAR,
    message VARCHAR NOT NULL, problems VARCHAR NOT NULL, received_at TIMESTAMPTZ NOT NULL, version INTEGER NOT NULL
);
INSERT INTO dead_pl_test VALUES (3, 0, 'type', 'n', 'x', 'told', '[]', TIMESTAMPTZ '2026-11-20 09:00:00+00', 1);
CREATE TABLE rows_pl_empty (
    _time TIMESTAMPTZ NOT NULL, _seq BIGINT NOT NULL, _item INTEGER NOT NULL, _key UUID, _extra JSON, x VARCHAR
);
CREATE TABLE dead_pl_empty (
    seq BIGINT NOT NULL, item INTEGER NOT NULL, reason VARCHAR NOT NULL, field VARCHAR, value VARCHAR,
    message VARCHAR NOT NULL, problems VARCHAR NOT NULL, received_at TIMESTAMPTZ NOT NULL, version INTEGER NOT NULL
);
"""
ID, EMPTY = PLAIN.pipeline_id, PipelineId("pl_empty")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "org_1.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(FORMAT_1)
    return file


def test_a_file_of_format_1_has_one_generation_and_one_span(path: Path) -> None:
    for _ in range(2):  # the second opening finds it up to date
        store = DuckDbSilver(path)
        assert store.progress(ID) == Progress(4, Outcome(stored=2, filtered=1, dead=1))
        assert store.recount(PLAIN) == Outcome(stored=2, filtered=1, dead=1)
        assert rows_in(store, PLAIN, "_seq", "device", "n") == [(1, "a", 1), (4, "b", 2)]
        assert store.dead_letters(ID, DeadLetterQuery()).column("seq").to_pylist() == [3]
        assert store.generations.spans(ID) == [Span(1, 4, "1970-01-01", 0, 2, 1, 0, 1)]
        assert [(one.number, one.live, one.first_seq) for one in store.generations.all(ID)] == [(1, True, 1)]
        assert [(one.number, one.live, one.progress.seq) for one in store.generations.all(EMPTY)] == [(1, True, 0)]
        assert store.generations.spans(EMPTY) == []
        store.close()


def test_it_goes_on_from_there(path: Path) -> None:
    store = DuckDbSilver(path)
    assert store.commit(batch(PLAIN, 5, [row(device="c", n=3)])).seq == 5
    assert store.commit(batch(table("pl_empty"), 1, [row(device="d", n=4)])).seq == 1
    shadow = store.generations.begin(PLAIN, 3)
    assert shadow.generation == 2
    assert rows_in(store, shadow, "_seq") == [(1,)]
    assert store.generations.spans(ID, 2) == [Span(1, 2, "1970-01-01", 0, 1, 1, 0, 0)]
    store.close()


def test_after_a_file_was_set_aside_no_number_comes_again(path: Path) -> None:
    store = DuckDbSilver(path)
    former = store.generations.begin(PLAIN).generation
    assert former == 2
    store.close()
    path.write_bytes(b"damaged")
    store = DuckDbSilver(path)
    assert store.generations.all(ID) == []
    store.commit(batch(PLAIN, 1, [row(device="a", n=1)]))  # refined again from Bronze
    assert [one.number for one in store.generations.all(ID)] == [1]
    first, second = (store.generations.begin(PLAIN).generation or 0 for _ in range(2))
    assert first > 2
    assert second == first + 1
    store.close()
    store = DuckDbSilver(path)
    assert store.generations.begin(PLAIN).generation == second + 1
    store.close()
