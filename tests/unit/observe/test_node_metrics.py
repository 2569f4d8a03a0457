"""What Prometheus is told of a node, alone and among others."""

import subprocess
from pathlib import Path

from appliance.observe.metrics import Metrics
from appliance.observe.node_metrics import BusNumbers, NodeMetrics
from tests.programs import promtool
from tests.unit.observe.test_metrics import OnePipeline


class Alone:
    def labels(self) -> tuple[str, str, str]:
        return "node_1", "anna", "all"

    def draining(self) -> bool:
        return False

    def silent_secs(self) -> float:
        return 1.5

    def jobs(self) -> int:
        return 2

    def leases(self) -> tuple[int, int] | None:
        return None

    def bus(self) -> BusNumbers | None:
        return None


class Among(Alone):
    def leases(self) -> tuple[int, int] | None:
        return 7, 9

    def bus(self) -> BusNumbers | None:
        return BusNumbers(True, 10, 20, 1, 0.005)


def told(numbers: Alone, folder: Path) -> list[str]:
    metrics = Metrics("1", folder, OnePipeline())
    metrics.add(NodeMetrics(numbers))
    text = metrics.render()
    answer = subprocess.run([promtool(), "check", "metrics"], input=text, capture_output=True, check=False)
    assert answer.returncode == 0, answer.stderr
    wanted = ("dash_node", "dash_jobs", "dash_lease", "dash_bus")
    return [line for line in text.decode().splitlines() if line.startswith(wanted)]


def test_one_that_is_alone(tmp_path: Path) -> None:
    assert told(Alone(), tmp_path) == [
        'dash_node_info{name="anna",node="node_1",role="all"} 1.0',
        "dash_node_draining 0.0",
        "dash_node_heartbeat_age_seconds 1.5",
        "dash_jobs_running 2.0",
    ]


def test_one_among_others(tmp_path: Path) -> None:
    assert told(Among(), tmp_path)[4:] == [
        "dash_leases_held 7.0",
        "dash_lease_changes_total 9.0",
        "dash_bus_connected 1.0",
        "dash_bus_sent_total 10.0",
        "dash_bus_received_total 20.0",
        "dash_bus_reconnects_total 1.0",
        "dash_bus_round_trip_seconds 0.005",
    ]
