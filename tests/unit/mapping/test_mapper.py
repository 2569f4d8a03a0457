import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from appliance.domain.event import Frame
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import Mapping
from appliance.errors import FatalError
from appliance.mapping import CompiledMapping, Mapper, compile_mapping

FrameOf = Callable[..., Frame]

ALL_PARTS = {
    "time": {"path": "$.ts"},
    "fields": [
        {"name": "device", "path": "$.device", "type": "string", "required": True},
        {"name": "n", "path": "$.n", "type": "integer", "min": 0},
        {"name": "double", "expr": "n * 2", "type": "integer"},
    ],
    "where": "status <> 'test'",
    "key": ["device", "n"],
}


@pytest.fixture
def compiled(document: Callable[..., Mapping]) -> CompiledMapping:
    return compile_mapping(document(**ALL_PARTS))


def event(n: int) -> dict[str, object]:
    return {"device": f"d{n % 7}", "n": n if n % 5 else "bad", "status": "test" if n % 3 == 0 else "ok", "x": n}


def test_frames_are_mapped_as_one_run_of_events(mapper: Mapper, compiled: CompiledMapping, frame: FrameOf) -> None:
    frames = [frame(event(1), event(2)), frame(event(4), first_seq=3), frame(event(5), event(6), first_seq=4)]
    mapped = mapper.run(compiled, frames)
    assert (mapped.first_seq, mapped.last_seq) == (1, 5)
    assert mapped.rows["_seq"].to_pylist() == [1, 2, 3]
    assert mapped.rows["double"].to_pylist() == [2, 4, 8]
    assert mapped.dead["seq"].to_pylist() == [4]
    assert mapped.outcome == Outcome(stored=3, filtered=1, dead=1)


def test_a_mapping_without_anything_bad_answers_empty_tables(mapper: Mapper, frame: FrameOf) -> None:
    nothing = compile_mapping(Mapping(where="false"))
    mapped = mapper.run(nothing, [frame({"a": 1})])
    assert mapped.rows.num_rows == mapped.dead.num_rows == 0
    assert mapped.outcome == Outcome(filtered=1)


@pytest.mark.parametrize("threads", [1, 2])
def test_order_and_answer_do_not_depend_on_threads_or_batches(
    compiled: CompiledMapping, frame: FrameOf, threads: int
) -> None:
    mapper = Mapper(threads=threads)
    frames = [frame(*map(event, range(at, at + 500)), first_seq=at + 1) for at in range(0, 20_000, 500)]
    whole = mapper.run(compiled, frames)
    parts = [mapper.run(compiled, [one]) for one in frames]
    mapper.close()
    seqs = whole.rows["_seq"].to_pylist()
    assert seqs == sorted(seqs)
    assert whole.rows.to_pylist() == [row for part in parts for row in part.rows.to_pylist()]
    assert whole.dead.to_pylist() == [row for part in parts for row in part.dead.to_pylist()]
    assert whole.outcome == sum((part.outcome for part in parts), Outcome())
    assert whole.outcome.total == 20_000


def test_several_threads_map_at_once(mapper: Mapper, compiled: CompiledMapping, frame: FrameOf) -> None:
    other = compile_mapping(Mapping(where="x > 100"))
    frames = [frame(*map(event, range(at, at + 50)), first_seq=at + 1) for at in range(0, 2_000, 50)]

    def work(number: int) -> Outcome:
        return mapper.run(compiled if number % 2 else other, [frames[number % len(frames)]]).outcome

    alone = [work(number) for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, list(range(40)) * 5)) == alone * 5


def test_more_mappings_than_plans_are_remembered(mapper: Mapper, frame: FrameOf) -> None:
    compiled = [compile_mapping(Mapping(where=f"x = {number}")) for number in range(70)]
    for _ in range(2):
        assert [mapper.run(one, [frame({"x": 3})]).outcome.stored for one in compiled] == [0, 0, 0, 1] + [0] * 66


def test_an_event_beyond_the_memory_limit_is_a_dead_letter_and_its_neighbours_are_rows(frame: FrameOf) -> None:
    mapper = Mapper(memory_limit="30MB")
    compiled = compile_mapping(Mapping(explode="$.n"))
    huge = b'{"n":[' + b",".join([b'{"a":1234567}'] * 1_000_000) + b"]}"
    mapped = mapper.run(compiled, [frame({"n": [1]}, huge, {"n": [2]}), frame({"n": [3]}, first_seq=4)])
    assert mapped.rows["_seq"].to_pylist() == [1, 3, 4]
    assert mapped.outcome == Outcome(stored=3, dead=1)
    (letter,) = mapped.dead.to_pylist()
    assert (letter["seq"], letter["reason"]) == (2, "limit")
    assert letter["message"].startswith("the event needs more than mapping may use: Out of Memory Error")
    assert json.loads(letter["problems"])[0]["reason"] == "limit"
    assert (mapped.first_seq, mapped.last_seq) == (1, 4)
    mapper.close()


def test_a_frame_that_does_not_hold_what_it_says_is_fatal(mapper: Mapper, compiled: CompiledMapping) -> None:
    with pytest.raises(FatalError) as caught:
        mapper.run(compiled, [Frame(7, 2, 0, b"{}")])
    assert str(caught.value) == "mapping the frame of event 7: it says 2 events and holds 1 lines"


def test_a_query_that_does_not_run_is_fatal_and_the_mapper_goes_on(
    mapper: Mapper, compiled: CompiledMapping, frame: FrameOf
) -> None:
    broken = CompiledMapping((), keyed=False, explodes=False, sql="SELECT nonsense FROM frames", words_sql="")
    with pytest.raises(FatalError, match="mapping events from 1 on failed: Binder Error"):
        mapper.run(broken, [frame({})])
    assert mapper.run(compiled, [frame(event(1))]).outcome == Outcome(stored=1)


def test_the_database_reaches_nothing_outside(mapper: Mapper, frame: FrameOf) -> None:
    for query in (
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT getenv('HOME')",
        "SET threads = 2",
        "INSTALL icu",
    ):
        reaching = CompiledMapping((), keyed=False, explodes=False, sql=query, words_sql="")
        with pytest.raises(FatalError):
            mapper.run(reaching, [frame({})])


def test_closing_twice_does_nothing() -> None:
    mapper = Mapper()
    mapper.close()
    mapper.close()


def test_the_query_of_one_mapping(document: Callable[..., Mapping]) -> None:
    """What is generated, to be read: one parse, strict types, no name of a user outside quotes."""
    mapping = document(
        fields=[
            {"name": "n", "path": "$.n", "type": "boolean", "required": True},
            {"name": "y", "expr": "x * 2", "type": "float", "max": 10},
        ],
        unmapped="drop",
    )
    number = r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"
    assert compile_mapping(mapping).sql.split("\n")[1:] == [
        "read AS (SELECT *, TRY(json_extract_string(raw, ['/n', '/x'])) AS v FROM line),",
        r"text AS (SELECT *, v IS NULL OR NOT regexp_matches(raw, '^\s*\{') AS broken, CAST(0 AS INTEGER) AS item,"
        " v[1] AS t0, v[2] AS t1 FROM read),",
        "value AS (SELECT *, CASE t0 WHEN 'true' THEN true WHEN 'false' THEN false END AS f0,"
        f" CASE WHEN regexp_full_match(t1, '{number}') AND isfinite(TRY_CAST(t1 AS DOUBLE))"
        " THEN TRY_CAST(t1 AS DOUBLE) END AS n0 FROM text),",
        "timed AS (SELECT *, make_timestamp(received_us) AS moment FROM value),",
        "computed0 AS (SELECT *, TRY({'v': n0 * 2}) AS cf1 FROM timed),",
        "level0 AS (SELECT *, CASE WHEN isfinite(cf1.v) THEN cf1.v END AS f1 FROM computed0),",
        "settled AS (SELECT *, CASE WHEN coalesce(broken OR f0 IS NULL AND t0 IS NOT NULL OR t0 IS NULL"
        " OR cf1 IS NULL OR f1 IS NULL AND cf1.v IS NOT NULL OR f1 > CAST('10.0' AS DOUBLE)"
        " OR n0 IS NULL AND t1 IS NOT NULL, false) THEN 2 ELSE 0 END AS state FROM level0)",
        "SELECT moment AS _time, seq AS _seq, item AS _item, CAST(NULL AS VARCHAR) AS _extra,"
        ' f0 AS "n", f1 AS "y", CAST(state AS TINYINT) AS _state, keys AS _shape FROM settled',
    ]
