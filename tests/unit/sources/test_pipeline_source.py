import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from appliance.components.lint import decode, lint
from appliance.components.source import Page
from appliance.errors import ConfigError, Invalid
from appliance.sources import pipeline as module
from appliance.sources.pipeline import PipelineConfig, PipelineRows
from tests.fakes.resources import NOW, resources
from tests.fakes.upstream import MemoryUpstream


def source(upstream: MemoryUpstream, clock: Any = None, **document: Any) -> PipelineRows:
    named = {} if "pipelines" in document else {"pipeline": "boilers"}
    config = decode(PipelineConfig, {"type": "pipeline", **named, **document})
    return PipelineRows(config, resources(upstream=upstream, **({"clock": clock} if clock else {})))


@pytest.fixture
def upstream() -> MemoryUpstream:
    return MemoryUpstream(pl_a="boilers", pl_b="pumps")


async def pages(one: PipelineRows, checkpoint: dict[str, Any] | None = None) -> list[Page]:
    return [page async for page in one.poll(checkpoint)]


def events(found: list[Page]) -> list[dict[str, Any]]:
    return [json.loads(payload) for page in found for payload in page.payloads]


def last(found: list[Page]) -> dict[str, Any]:
    """The checkpoint as Bronze gives it back: through JSON."""
    checkpoint: dict[str, Any] = json.loads(json.dumps(found[-1].checkpoint))
    return checkpoint


async def test_a_row_comes_with_its_fields_and_where_it_is_from(upstream: MemoryUpstream) -> None:
    whole = {
        "device": "b1", "n": 2**62, "temp_c": 20.5, "exact": Decimal("1.5"), "ok": True,
        "at": datetime(2026, 1, 1, tzinfo=UTC), "tags": '{"floor": [1,\n 2]}', "_extra": '{"note": "kept"}',
    }  # fmt: skip
    upstream.put("pl_a", whole, {"device": "b2"})
    found = await pages(source(upstream))
    origin = {"_pipeline": "pl_a", "_seq": 1, "_time": "2026-01-31T08:00:01.000000Z"}
    assert events(found) == [
        {
            **origin, "_item": 0, "device": "b1", "n": 2**62, "temp_c": 20.5, "exact": 1.5, "ok": True,
            "at": "2026-01-01T00:00:00.000000Z", "tags": {"floor": [1, 2]}, "_extra": {"note": "kept"},
        },
        {
            **origin, "_item": 1, "device": "b2", "n": None, "temp_c": None, "exact": None, "ok": None,
            "at": None, "tags": None,
        },
    ]  # fmt: skip
    assert found[0].remote == "pl_a"


async def test_what_was_read_is_not_read_again(upstream: MemoryUpstream) -> None:
    upstream.put("pl_a", {"n": 1})
    first = await pages(source(upstream))
    assert last(first) == {"upstream": {"pl_a": {"place": {"seq": 1}}}}
    assert await pages(source(upstream), last(first)) == []
    upstream.put("pl_a", {"n": 2})
    second = await pages(source(upstream), last(first))
    assert [event["n"] for event in events(second)] == [2]


async def test_an_event_that_was_mended_upstream_comes_again(upstream: MemoryUpstream) -> None:
    upstream.put("pl_a")  # a dead letter: no row
    upstream.put("pl_a", {"n": 2})
    first = await pages(source(upstream))
    upstream.amend("pl_a", 1, {"n": 1})
    second = await pages(source(upstream), last(first))
    assert [(event["_seq"], event["n"]) for event in events(second)] == [(1, 1)]
    assert await pages(source(upstream), last(second)) == []


async def test_starting_now_leaves_out_what_was_there(upstream: MemoryUpstream) -> None:
    upstream.put("pl_a", {"n": 1})
    first = await pages(source(upstream, start="now"))
    assert events(first) == []
    upstream.put("pl_a", {"n": 2})
    assert [event["n"] for event in events(await pages(source(upstream, start="now"), last(first)))] == [2]


async def test_starting_now_at_an_empty_pipeline_counts_as_a_start(upstream: MemoryUpstream) -> None:
    first = await pages(source(upstream, start="now"))
    upstream.put("pl_a", {"n": 1})
    assert [event["n"] for event in events(await pages(source(upstream, start="now"), last(first)))] == [1]


async def test_several_upstreams_come_in_turn_and_each_has_its_own_place(upstream: MemoryUpstream) -> None:
    upstream.put("pl_a", {"n": 1})
    upstream.put("pl_b", {"n": 10})
    upstream.put("pl_b", {"n": 11})
    both = await pages(source(upstream, pipelines=["boilers", "pl_b"]))
    assert [(event["_pipeline"], event["n"]) for event in events(both)] == [("pl_a", 1), ("pl_b", 10), ("pl_b", 11)]
    assert list(last(both)["upstream"]) == ["pl_a", "pl_b"]
    one = await pages(source(upstream), last(both))  # one of them is read no longer
    upstream.put("pl_a", {"n": 2})
    upstream.put("pl_b", {"n": 12})
    one = await pages(source(upstream), last(both))
    again = await pages(source(upstream, pipelines=["pl_a", "pl_b"]), last(one))
    assert [event["n"] for event in events(one + again)] == [2, 12]


async def test_chosen_fields(upstream: MemoryUpstream) -> None:
    upstream.put("pl_a", {"device": "b1", "n": 1, "_extra": "{}"})
    [event] = events(await pages(source(upstream, fields=["device"])))
    assert list(event) == ["_pipeline", "_seq", "_item", "_time", "device"]
    with pytest.raises(ConfigError, match="no field 'devise' to read"):
        await pages(source(upstream, fields=["devise"]))


ROWS = [
    {"device": "b1", "n": 1, "temp_c": 20.5, "ok": True, "exact": Decimal("0.1"), "tags": '{"floor": 1}'},
    {"device": "b2", "n": 2, "temp_c": 21.5, "ok": False, "at": datetime(2026, 1, 31, 9, tzinfo=UTC)},
    {"device": None, "n": 3, "temp_c": None},
]


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ({"device": "b1"}, [1]),
        ({"device": ["b1", "b2"], "n": 2}, [2]),
        ([{"field": "n", "op": ">=", "value": 2}], [2, 3]),
        ([{"field": "temp_c", "op": "<", "value": 21}], [1]),
        ([{"field": "device", "op": "<>", "value": "b1"}], [2]),  # as in SQL: null is not different either
        ([{"field": "device", "op": "is_null"}], [3]),
        ([{"field": "device", "op": "not_null"}, {"field": "ok", "value": True}], [1]),
        ([{"field": "tags", "op": "contains", "value": "floor"}], [1]),
        ([{"field": "exact", "value": 0.1}], [1]),
        ([{"field": "at", "op": ">", "value": "2026-01-31T09:00:00+01:00"}], [2]),
        ([{"field": "_seq", "op": "in", "value": [2, 3]}], [2, 3]),
        ([], [1, 2, 3]),
        ({"device": "b9"}, []),
    ],
)
async def test_chosen_rows(upstream: MemoryUpstream, where: Any, numbers: list[int]) -> None:
    for row in ROWS:
        upstream.put("pl_a", row)
    assert [event["n"] for event in events(await pages(source(upstream, where=where)))] == numbers


async def test_conditions_that_do_not_fit_are_told_all_at_once(upstream: MemoryUpstream) -> None:
    upstream.put("pl_a", ROWS[0])
    where = {"tmp_c": 1, "n": "x", "tags": "1", "temp_c": [], "ok": "yes", "at": "yesterday"}
    with pytest.raises(ConfigError) as caught:
        await pages(source(upstream, where=where))
    assert [problem.pointer for problem in caught.value.problems] == [f"/source/where/{name}" for name in where]


async def test_places_without_a_row_to_store_are_saved_now_and_then(upstream: MemoryUpstream) -> None:
    now = [NOW]
    one = source(upstream, lambda: now[0], where={"device": "b1"})
    upstream.put("pl_a", {"device": "b2"})
    assert await pages(one) == []
    upstream.put("pl_a", {"device": "b3"})
    assert await pages(one) == []
    assert upstream.reads[-2][1].seq == 1  # what it has passed it does not look at again
    now[0] += timedelta(seconds=30)
    upstream.put("pl_a", {"device": "b4"})
    [page] = await pages(one)
    assert (list(page.payloads), last([page])["upstream"]["pl_a"]["place"]["seq"]) == ([], 3)


async def test_pages_grow_and_those_too_large_are_read_again_in_parts(
    upstream: MemoryUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_BYTES", 1_000)
    for n in range(20):
        upstream.put("pl_a", {"n": n, "device": "x" * 400})
    found = await pages(source(upstream))
    assert [event["n"] for event in events(found)] == list(range(20))
    assert max(len(page.payloads) for page in found) <= 4
    huge = upstream.put("pl_a", *({"n": 100 + n, "device": "x" * 400} for n in range(10)))
    found = await pages(source(upstream), last(found))
    assert [(event["_seq"], event["n"]) for event in events(found)] == [(huge, 100 + n) for n in range(10)]


async def test_what_stands_in_the_way_is_told_after_everything_was_read(upstream: MemoryUpstream) -> None:
    upstream.put("pl_b", {"n": 1})
    upstream.troubles[upstream.find("pl_b")] = "pipeline 'pumps' is paused"
    one = source(upstream, pipelines=["nobody", "pumps"])
    kept: list[Page] = []

    async def poll() -> None:
        async for page in one.poll(None):
            kept.append(page)

    with pytest.raises(ConfigError) as caught:
        await poll()
    assert [event["n"] for event in events(kept)] == [1]
    assert [problem.message for problem in caught.value.problems] == [
        "no pipeline 'nobody' runs here",
        "pipeline 'pumps' is paused",
    ]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({}, "exactly one of pipeline and pipelines"),
        ({"pipeline": "a", "pipelines": ["b"]}, "exactly one of pipeline and pipelines"),
        ({"pipelines": ["a", "a"]}, "named twice"),
        ({"pipeline": "a", "start": "yesterday"}, "expected one of 'beginning', 'now'"),
        ({"pipeline": "a", "where": [{"field": "x", "op": "like"}]}, "expected one of '='"),
        ({"pipeline": "a", "interval": "10ms"}, "at least 1s"),
    ],
)
def test_documents_that_make_no_sense(document: dict[str, Any], told: str) -> None:
    with pytest.raises(Invalid, match=told):
        decode(PipelineConfig, {"type": "pipeline", **document})


def test_a_document_that_makes_sense() -> None:
    document = {"type": "pipeline", "pipelines": ["a", "b"], "fields": ["x"], "where": {"x": 1}, "start": "now"}
    assert lint(PipelineConfig, document) == []
