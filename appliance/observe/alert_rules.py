"""What Prometheus should alert on, declared once: the file of rules, and the dashboard for Grafana, come from here."""

from typing import Any, Final

import msgspec

RUNBOOK: Final = "/docs/runbook"


class AlertRule(msgspec.Struct, frozen=True, kw_only=True):
    """``expr``: PromQL. ``lasts``: for how long it has to hold. ``severity``: of ``domain.incident``."""

    name: str
    expr: str
    lasts: str
    severity: str
    summary: str
    remedy: str
    page: str


class Panel(msgspec.Struct, frozen=True):
    """``queries``: (PromQL, legend). ``unit``: as Grafana calls it."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"


ALERTS: Final = (
    AlertRule(
        name="DashDown", expr='up{job="dash"} == 0', lasts="2m", severity="P0",
        summary="Dash does not answer", remedy="look at 'systemctl status dash-appliance' and its log",
        page="receiving",
    ),
    AlertRule(
        name="DashNotReceiving", expr='dash_disk_state{state="stopped"} == 1', lasts="0s", severity="P0",
        summary="The disk is full: nothing is received", remedy="make room; receiving goes on by itself", page="disk",
    ),
    AlertRule(
        name="DashRequestsFail",
        expr='sum by (pipeline) (rate(dash_ingest_requests_total{outcome=~"unavailable|failed"}[5m])) > 0',
        lasts="5m", severity="P1", summary="Senders to {{ $labels.pipeline }} are told to come again",
        remedy="look at /readyz: each part has a reason", page="receiving",
    ),
    AlertRule(
        name="DashLag", expr="dash_lag_seconds > 60", lasts="5m", severity="P2",
        summary="Events of {{ $labels.pipeline }} wait for {{ $value | humanizeDuration }}",
        remedy="nothing is lost; look at processor time and the database if it grows", page="lag",
    ),
    AlertRule(
        name="DashPipelineStopped", expr="dash_pipeline_running == 0", lasts="1h", severity="P3",
        summary="{{ $labels.pipeline }} does not run", remedy="resume it, or delete it if nobody needs it",
        page="refining",
    ),
    AlertRule(
        name="DashDeadLetters", expr='delta(dash_ledger_events{place="dead"}[15m]) > 0', lasts="15m", severity="P3",
        summary="Events of {{ $labels.pipeline }} become dead letters", remedy="look at their reasons",
        page="dead-letters",
    ),
    AlertRule(
        name="DashDiskFillsUp",
        expr="predict_linear(dash_disk_free_bytes[6h], 3 * 86400) < 0.05 * dash_disk_size_bytes",
        lasts="1h", severity="P2", summary="The disk will be full within three days",
        remedy="shorten a retention, or make the disk larger", page="disk",
    ),
    AlertRule(
        name="DashArchiveStands", expr="dash_archive_up == 0", lasts="30m", severity="P2",
        summary="Closed segments are not archived", remedy="run 'dash-appliance archive status'", page="archive",
    ),
    AlertRule(
        name="DashIncidentOpen", expr='dash_incidents_open{severity=~"P0|P1"} > 0', lasts="1m", severity="P1",
        summary="{{ $value }} incidents of {{ $labels.severity }} are open", remedy="look at the page Operations",
        page="incidents",
    ),
    AlertRule(
        name="DashLicenceEnds", expr="dash_license_expires_in_seconds < 14 * 86400", lasts="1h", severity="P3",
        summary="The licence ends, or has ended: {{ $value | humanizeDuration }} left",
        remedy="ask for a renewal, and install it on the page Licence; nothing that runs is stopped", page="licence",
    ),
    AlertRule(
        name="DashLicenceNotValid", expr="dash_license_not_valid == 1", lasts="5m", severity="P3",
        summary="The licence that is installed does not count", remedy="run 'dash-appliance license show': it says why",
        page="licence",
    ),
    AlertRule(
        name="DashMemory", expr='process_resident_memory_bytes{job="dash"} > 4e9', lasts="15m", severity="P3",
        summary="Dash takes {{ $value | humanize1024 }}B of memory", remedy="lower silver.memory_limit", page="memory",
    ),
)  # fmt: skip

PANELS: Final = (
    Panel("Events received", (("sum by (pipeline) (rate(dash_events_received_total[1m]))", "{{pipeline}}"),), "ops"),
    Panel("Requests by how they ended", (("sum by (outcome) (rate(dash_ingest_requests_total[1m]))", "{{outcome}}"),)),
    Panel("Events that wait", (("dash_lag_events", "{{pipeline}}"),)),
    Panel("Age of the oldest that waits", (("dash_lag_seconds", "{{pipeline}}"),), "s"),
    Panel("Ledger", (("sum by (place) (dash_ledger_events)", "{{place}}"),)),
    Panel(
        "Time of a batch, p95",
        (
            (
                "histogram_quantile(0.95, sum by (le, pipeline) (rate(dash_refine_batch_seconds_bucket[5m])))",
                "{{pipeline}}",
            ),
        ),
        "s",
    ),
    Panel("Disk", (("dash_disk_free_bytes", "free"), ("dash_disk_size_bytes", "size")), "bytes"),
    Panel("What pipelines occupy", (("sum by (layer) (dash_storage_bytes)", "{{layer}}"),), "bytes"),
    Panel("Memory", (("process_resident_memory_bytes", "resident"),), "bytes"),
    Panel("Processor", (("rate(process_cpu_seconds_total[1m])", "cores"),)),
    Panel("Incidents that are open", (("dash_incidents_open", "{{severity}}"),)),
    Panel("Kinds of failures", (("dash_failure_kinds", "kinds"),)),
)


def rules(base_url: str = "") -> str:
    """Return a rules file for Prometheus (YAML). ``base_url``: of Dash, so that alerts link to its handbook."""
    lines = ["groups:", "  - name: dash", "    rules:"]
    for one in ALERTS:
        lines += [
            f"      - alert: {one.name}",
            f"        expr: {_quoted(one.expr)}",
            f"        for: {one.lasts}",
            f"        labels: {{severity: {one.severity}}}",
            "        annotations:",
            f"          summary: {_quoted(one.summary)}",
            f"          description: {_quoted(one.remedy)}",
            f"          runbook_url: {_quoted(f'{base_url}{RUNBOOK}#{one.page}')}",
        ]
    return "\n".join(lines) + "\n"


def dashboard() -> str:
    """Return a dashboard for Grafana (JSON), which asks for its Prometheus when it is imported."""
    panels = [_panel(place, one) for place, one in enumerate(PANELS)]
    source = {"name": "DS_PROMETHEUS", "label": "Prometheus", "type": "datasource", "pluginId": "prometheus"}
    document: dict[str, Any] = {
        "__inputs": [source], "title": "Dash", "uid": "dash-appliance", "schemaVersion": 39, "editable": True,
        "time": {"from": "now-6h", "to": "now"}, "refresh": "30s", "tags": ["dash"], "panels": panels,
    }  # fmt: skip
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _panel(place: int, one: Panel) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
    return {
        "id": place + 1, "title": one.title, "type": "timeseries", "datasource": source,
        "gridPos": {"x": 12 * (place % 2), "y": 8 * (place // 2), "w": 12, "h": 8},
        "fieldConfig": {"defaults": {"unit": one.unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "expr": expr, "legendFormat": legend, "datasource": source}
            for number, (expr, legend) in enumerate(one.queries)
        ],
    }  # fmt: skip


def _quoted(text: str) -> str:
    """Return ``text`` as a YAML string: JSON's form is one."""
    return msgspec.json.encode(text).decode()
