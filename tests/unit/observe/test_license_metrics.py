"""What Prometheus is told of the licence, with one and without."""

import subprocess
from pathlib import Path

from appliance.observe.license_metrics import LicenseMetrics, LicenseNumbers
from appliance.observe.metrics import Metrics
from tests.programs import promtool
from tests.unit.observe.test_metrics import OnePipeline

ENDING = LicenseNumbers(
    edition="Team",
    standing="ending",
    standings=["valid", "ending"],
    expires_in_secs=86400.0,
    limits={"pipelines": 50, "events_per_day": None},
    used={"pipelines": 51},
    refused={"pipelines": 3},
    clock_set_back=True,
    counts=True,
)


def told(numbers: LicenseNumbers, folder: Path) -> str:
    metrics = Metrics("1", folder, OnePipeline())
    metrics.add(LicenseMetrics(lambda: numbers))
    return metrics.render().decode()


def test_a_licence_that_ends(tmp_path: Path) -> None:
    text = told(ENDING, tmp_path)
    for line in (
        'dash_license_info{edition="Team"} 1.0',
        "dash_license_expires_in_seconds 86400.0",
        'dash_license_standing{standing="valid"} 0.0',
        'dash_license_standing{standing="ending"} 1.0',
        'dash_license_limit{of="pipelines"} 50.0',
        'dash_license_used{of="pipelines"} 51.0',
        'dash_license_refused_total{of="pipelines"} 3.0',
        'dash_license_refused_total{of="events_per_day"} 0.0',
        "dash_license_not_valid 0.0",
        "dash_license_clock_set_back 1.0",
    ):
        assert f"\n{line}\n" in text
    assert 'dash_license_limit{of="events_per_day"}' not in text
    answer = subprocess.run([promtool(), "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_without_one_nothing_expires(tmp_path: Path) -> None:
    assert "expires_in" not in told(ENDING._replace(expires_in_secs=None, counts=False), tmp_path)
