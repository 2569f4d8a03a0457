"""The exposition, read by Prometheus's own tool."""

import subprocess
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from appliance.domain.clock import utc_now
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Ledger
from appliance.observe.metrics import Metrics, PipelineNumbers
from tests.programs import promtool


class OnePipeline:
    def knows(self, pipeline_id: str) -> bool:
        return pipeline_id == "pl_1"

    def numbers(self) -> Iterable[PipelineNumbers]:
        ledger = Ledger(received=10, stored=5, filtered=1, duplicate=1, dead=2, pending=1)
        return [PipelineNumbers(PipelineId("pl_1"), True, 1, 0.5, ledger, utc_now() - timedelta(hours=1))]


@pytest.fixture
def metrics(tmp_path: Path) -> Metrics:
    metrics = Metrics("1.2.3", tmp_path, OnePipeline())
    metrics.request("pl_1", "accepted", 100)
    metrics.request("pl_1", "accepted", 23)
    metrics.request("pl_1", "refused", 0)
    metrics.batch("pl_1", 0.02)
    return metrics


def lines(metrics: Metrics) -> list[str]:
    return metrics.render().decode().splitlines()


def test_counts(metrics: Metrics) -> None:
    shown = lines(metrics)
    for line in (
        'dash_build_info{version="1.2.3"} 1.0',
        'dash_ingest_requests_total{outcome="accepted",pipeline="pl_1"} 2.0',
        'dash_ingest_bytes_total{pipeline="pl_1"} 123.0',
        'dash_events_received_total{pipeline="pl_1"} 10.0',
        'dash_ledger_events{pipeline="pl_1",place="dead"} 2.0',
        'dash_lag_seconds{pipeline="pl_1"} 0.5',
        'dash_refine_batch_seconds_bucket{le="0.025",pipeline="pl_1"} 1.0',
    ):
        assert line in shown
    assert any(line.startswith("process_resident_memory_bytes ") for line in shown)
    assert any(line.startswith("dash_disk_free_bytes ") for line in shown)
    assert any(line.startswith('dash_dead_letter_age_seconds{pipeline="pl_1"} 360') for line in shown)


def test_a_sender_cannot_make_series_up(metrics: Metrics) -> None:
    for number in range(1_000):
        metrics.request(f"pl_made_up_{number}", "refused", 0)
    shown = [line for line in lines(metrics) if line.startswith("dash_ingest_requests_total")]
    assert len(shown) == 3
    assert 'dash_ingest_requests_total{outcome="refused",pipeline="unknown"} 1000.0' in shown


def test_a_deleted_pipeline_is_shown_no_more(metrics: Metrics) -> None:
    metrics.forget("pl_1")
    metrics.forget("pl_never_seen")
    assert not any(line.startswith(("dash_ingest_requests_total{", "dash_refine_batch")) and "pl_1" in line
                   for line in lines(metrics))  # fmt: skip


def test_promtool_accepts_it(metrics: Metrics) -> None:
    answer = subprocess.run([promtool(), "check", "metrics"], input=metrics.render(), capture_output=True, check=False)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, b"", b"")
