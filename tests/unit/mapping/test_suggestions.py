"""A first mapping from samples: types, time, units, arrays, each with its reason; and it maps its own samples."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.components.suggestion import SuggestedField, Suggestion
from appliance.domain.event import Frame
from appliance.mapping import Mapper, check, compile_mapping, suggest
from appliance.mapping.moments import format_of
from appliance.mapping.units import unit_of


def field(found: Suggestion, name: str) -> SuggestedField:
    return next(one for one in found.fields if one.name == name)


def boilers(count: int = 20) -> list[Any]:
    return [
        {
            "ts": f"2026-01-31T08:00:{number:02}Z",
            "device": f"b{number % 3}",
            "temp_c": 20 + number / 2,
            "durationMs": number,
            "gps": {"lat": 52.5, "lon": 13.4},
            "ok": number % 2 == 0,
            "serial": f"{number}",
            "price": "19.99",
            "tags": ["a"],
            **({"note": "hot"} if number % 4 == 0 else {}),
        }
        for number in range(count)
    ]


def test_a_mapping_is_suggested_with_types_units_time_and_reasons() -> None:
    found = suggest(boilers())
    assert msgspec.to_builtins(found.mapping) == {
        "time": {"path": "$.ts"},
        "fields": [
            {"name": "device", "type": "string", "path": "$.device", "required": True},
            {"name": "temp_c", "type": "float", "path": "$.temp_c", "required": True, "unit": "°C"},
            {"name": "durationMs", "type": "integer", "path": "$.durationMs", "required": True, "unit": "ms"},
            {"name": "gps_lat", "type": "float", "path": "$.gps.lat", "required": True, "unit": "°"},
            {"name": "gps_lon", "type": "float", "path": "$.gps.lon", "required": True, "unit": "°"},
            {"name": "ok", "type": "boolean", "path": "$.ok", "required": True},
            {"name": "serial", "type": "integer", "path": "$.serial", "required": True},
            {"name": "price", "type": "decimal", "path": "$.price", "required": True},
            {"name": "tags", "type": "json", "path": "$.tags", "required": True},
            {"name": "note", "type": "string", "path": "$.note"},
        ],
    }
    assert found.time is not None
    assert (found.time.reason, found.time.confidence) == ("ISO 8601, in every sample, called 'ts'", 1.0)
    assert field(found, "temp_c").reason == "numbers with a fraction, in every sample, the name says °C"
    assert field(found, "note").reason == "text, in 25% of the samples"
    assert (field(found, "temp_c").confidence, field(found, "serial").confidence) == (1.0, 0.7)
    assert (found.explode, found.notes, found.samples) == (None, [], 20)


def test_few_samples_are_no_rule() -> None:
    found = suggest(boilers(2))
    assert {one.required for one in found.fields} == {False}
    assert max(one.confidence for one in found.fields) < 0.6
    assert found.notes == ["too few samples to require anything: look at more of them before relying on this"]
    assert suggest([]).mapping.fields == []


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["2026-01-31T08:00:00Z", "2026-01-31 08:00:00.5+01:00", "2026-01-31"], "auto"),
        ([1_790_000_000, 1_790_000_000.5], "unix_s"),
        ([1_790_000_000_000], "unix_ms"),
        (["1790000000000000"], "unix_us"),
        ([1_790_000_000_000_000_000], "unix_ns"),
        (["31.01.2026 08:00:00", "01.02.2026 09:00:00"], "%d.%m.%Y %H:%M:%S"),
        (["01/31/2026 08:00:00", "01/02/2026 08:00:00"], "%m/%d/%Y %H:%M:%S"),
        (["Sat, 31 Jan 2026 08:00:00 +0000"], "%a, %d %b %Y %H:%M:%S %z"),
        (["20260131T080000"], "%Y%m%dT%H%M%S"),
        (["20260131080000"], "%Y%m%d%H%M%S"),
        (["2026-13-31T08:00:00Z"], None),
        ([20], None),
        ([True], None),
        (["soon"], None),
        (["2026-01-31", 1_790_000_000], None),
    ],
)
def test_times_are_known_by_how_all_of_them_are_written(values: list[Any], form: str | None) -> None:
    assert format_of(values) == form


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("temp_c", "°C"), ("tempC", "°C"), ("temperature_f", "°F"), ("vitamin_c", None), ("duration_ms", "ms"),
        ("durationMs", "ms"), ("size_bytes", "B"), ("bytes", "B"), ("cpu_pct", "%"), ("lat", "°"), ("lng", "°"),
        ("battery_v", "V"), ("api_v", None), ("uptime_s", "s"), ("power_kw", "kW"), ("flow_m3", "m³"), ("hz", "Hz"),
        ("count", None), ("", None), ("_", None), ("pressure_hpa", "hPa"), ("class", None),
    ],
)  # fmt: skip
def test_units_are_known_by_name(name: str, unit: str | None) -> None:
    assert unit_of(name) == unit


def test_the_time_is_the_one_that_is_called_so_and_always_there() -> None:
    events = [{"updated": "2026-01-01", "when": 1_790_000_000 + number, "n": 1_790_000_000} for number in range(20)]
    found = suggest(events)
    assert found.time is not None
    assert (found.time.path, found.time.format) == ("$.when", "unix_s")
    assert field(found, "updated").type.value == "timestamp"
    assert field(found, "n").type.value == "integer"  # in range, and not called a time
    assert suggest([{"n": 5}] * 5).time is None


def test_an_array_of_objects_becomes_rows() -> None:
    events = [
        {"device": "a", "readings": [{"at": 1_790_000_000, "v": 1.5}, {"at": 1_790_000_001, "v": 2}]} for _ in range(5)
    ]
    found = suggest(events)
    assert found.explode is not None
    assert (found.explode.path, found.explode.reason) == (
        "$.readings", "$.readings is the one array of objects, with 2.0 elements on average: a row for each",
    )  # fmt: skip
    assert found.time is not None
    assert (found.time.path, found.time.format) == ("$.readings.at", "unix_s")
    assert [(one.name, one.path, one.type.value) for one in found.fields] == [
        ("device", "$.device", "string"), ("v", "$.readings.v", "float"),
    ]  # fmt: skip
    whole = suggest([[{"v": 1}, {"v": 2}]] * 3)
    assert (whole.mapping.explode, whole.fields[0].path) == ("$", "$.v")


def test_what_one_column_cannot_hold_is_kept_as_text_or_json() -> None:
    found = suggest([{"a": 1, "b": {"x": 1}, "c": 10**30, "d": 10**400}, {"a": "x", "b": 5, "c": 1, "d": 1}])
    assert [one.type.value for one in found.fields] == ["string", "json", "float", "string"]
    keys = suggest([{"by_id": {f"id{number}": 1}} for number in range(60)])
    assert [(one.name, one.type.value) for one in keys.fields] == [("by_id", "json")]


def test_names_are_made_from_any_key() -> None:
    found = suggest([{"a b": 1, "a": {"b": 2}, "1st": 3, "_x": 4, "é": 5, "A_b": 6, "": 7}])
    assert [one.name for one in found.fields] == ["a_b", "a_b_2", "f_1st", "x", "f", "A_b_3", "f_2"]
    assert check(found.mapping) == []


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
    | st.sampled_from(["5", "5.5", "true", "2026-01-02T03:04:05Z", "31.01.2026 08:00:00", 1_790_000_000, "1e5"])
)  # fmt: skip
keys = st.sampled_from(["ts", "time", "a", "temp_c", "b c", "list", "é", "A"]) | st.text(max_size=3)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)


@pytest.fixture(scope="module")
def own_mapper() -> Any:
    mapper = Mapper()
    yield mapper
    mapper.close()


@settings(deadline=None, max_examples=150)
@given(st.lists(st.dictionaries(keys, values, max_size=5), min_size=1, max_size=8))
def test_a_suggestion_can_be_saved_and_maps_what_it_was_made_from(own_mapper: Mapper, samples: list[Any]) -> None:
    found = suggest(samples)
    assert check(found.mapping) == []
    lines = b"\n".join(json.dumps(sample).encode() for sample in samples)
    mapped = own_mapper.run(compile_mapping(found.mapping), [Frame(1, len(samples), 0, lines)])
    assert mapped.dead["message"].to_pylist() == []
