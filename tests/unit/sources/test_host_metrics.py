import asyncio
import json
from typing import Any

import pytest

from appliance.components.lint import decode, lint
from appliance.domain.mapping import Mapping
from appliance.sources.host_metrics import HostMetrics, HostMetricsConfig, Reading, rates
from appliance.sources.host_metrics_mapping import HOST_METRICS_MAPPING
from tests.fakes.resources import NOW, resources


def made(**config: Any) -> HostMetrics:
    return HostMetrics(HostMetricsConfig(**config), resources())


async def sample(source: HostMetrics) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            async for page in source.poll(None):
                [payload] = page.payloads
                event: dict[str, Any] = json.loads(payload)
                return event


def reading(at: float, busy: float, total: float, count: int) -> Reading:
    return Reading(
        at=at, cores=[(busy, total), (0.0, total)],
        read_bytes=count, written_bytes=2 * count, received_bytes=3 * count, sent_bytes=4 * count,
    )  # fmt: skip


def test_rates_are_differences_over_elapsed_time() -> None:
    # 2 s; one of two cores busy for 1.5 of 2 s; 1,000 bytes read
    assert rates(reading(10.0, 5.0, 100.0, 0), reading(12.0, 6.5, 102.0, 1_000)) == {
        "cpu_percent": 37.5,
        "disk_read_bytes_per_sec": 500.0,
        "disk_write_bytes_per_sec": 1000.0,
        "net_in_bytes_per_sec": 1500.0,
        "net_out_bytes_per_sec": 2000.0,
    }


def test_counters_that_fall_back_give_no_negative_rate() -> None:
    assert set(rates(reading(10.0, 5.0, 100.0, 1_000), reading(11.0, 1.0, 2.0, 0)).values()) == {0.0}


async def test_the_first_poll_only_notes_the_counters() -> None:
    assert [page async for page in made().poll(None)] == []


async def test_a_sample_fits_the_mapping_that_comes_with_it() -> None:
    event = await sample(made(per_core=True))
    mapping = decode(Mapping, HOST_METRICS_MAPPING)
    assert {f"$.{name}" for name in event} == {field.path for field in mapping.fields} | {"$.ts"}
    assert event["ts"] == "2026-03-01T10:00:00.000+00:00"
    assert 0 <= event["cpu_percent"] <= 100
    assert len(event["cpu_cores_percent"]) == event["cpu_count"]
    assert 0 < event["mem_used_bytes"] < event["mem_total_bytes"]
    assert 0 < event["disk_used_bytes"] <= event["disk_total_bytes"]


async def test_a_disk_that_is_gone_costs_only_its_own_values() -> None:
    event = await sample(made(disk_path="/no/such/place"))
    assert event["disk_used_bytes"] is None
    assert event["mem_total_bytes"] > 0
    assert "cpu_cores_percent" not in event


@pytest.mark.parametrize("interval", ["100ms", "2h", "often"])
def test_the_interval_is_bounded(interval: str) -> None:
    assert [p.pointer for p in lint(HostMetricsConfig, {"type": "host_metrics", "interval": interval})] == ["/interval"]


def test_the_schedule_keeps_its_grid() -> None:
    assert made(interval="5s").schedule.due(NOW.replace(microsecond=1)) == NOW.replace(second=5)
