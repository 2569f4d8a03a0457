"""Prometheus accepts the rules, and they ask only for metrics that Dash has; so does the dashboard."""

import re
import subprocess
from pathlib import Path

import msgspec

from appliance.domain.incident import Severity
from appliance.observe.alert_rules import ALERTS, PANELS, dashboard, rules
from tests.programs import promtool

ROOT = Path(__file__).parents[3]
NAME = re.compile(r"\bdash_[a-z_]+")
SUFFIXES = ("_bucket", "_sum", "_count", "_total")


def declared() -> set[str]:
    """Return every word of the product's code that looks like a metric."""
    text = "".join(path.read_text() for path in (ROOT / "appliance").rglob("*metrics*.py"))
    return set(NAME.findall(text))


def known(name: str, names: set[str]) -> bool:
    return name in names or any(name.removesuffix(suffix) in names for suffix in SUFFIXES)


def test_prometheus_accepts_the_rules(tmp_path: Path) -> None:
    file = tmp_path / "dash.yml"
    file.write_text(rules("https://dash.example.org"))
    checked = subprocess.run([promtool(), "check", "rules", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert f"SUCCESS: {len(ALERTS)} rules found" in checked.stdout
    assert 'runbook_url: "https://dash.example.org/docs/runbook#lag"' in file.read_text()


def test_only_metrics_that_there_are_are_asked_for() -> None:
    asked = [one.expr for one in ALERTS] + [query for panel in PANELS for query, _ in panel.queries]
    names = declared()
    assert [name for expr in asked for name in NAME.findall(expr) if not known(name, names)] == []


def test_every_alert_says_how_soon() -> None:
    assert {one.severity for one in ALERTS} <= {severity.value for severity in Severity}


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    places = [tuple(panel["gridPos"].values()) for panel in msgspec.json.decode(dashboard())["panels"]]
    assert len(set(places)) == len(PANELS)
