"""The sample workspace: data that move on the first day, and a webhook to try."""

from typing import Any, Final

from appliance.domain.access import Principal
from appliance.services.dashboards import Dashboards
from appliance.services.pipelines import Pipelines
from appliance.sources.host_metrics_mapping import HOST_METRICS_MAPPING

THIS_HOST: Final[dict[str, Any]] = {
    "name": "this-host",
    "description": "CPU, memory, disk and network of this machine, once a second",
    "source": {"type": "host_metrics"},
    "mapping": HOST_METRICS_MAPPING,
    "retention": {"bronze": "7d", "silver": "30d"},
}
ORDERS_DEMO: Final[dict[str, Any]] = {
    "name": "orders-demo",
    "description": "Post signed orders to it with curl: its page shows the command",
    "source": {"type": "webhook", "signature": "standard_webhooks"},
    "mapping": {
        "time": {"path": "$.placed_at", "format": "auto"},
        "fields": [
            {"name": "order_id", "path": "$.id", "type": "string", "required": True},
            {"name": "customer", "path": "$.customer.name", "type": "string"},
            {"name": "country", "path": "$.customer.country", "type": "string"},
            {"name": "quantity", "path": "$.quantity", "type": "integer", "min": 1},
            {"name": "price", "path": "$.price", "type": "decimal", "unit": "EUR"},
            {"name": "total", "expr": "quantity * price", "type": "decimal", "unit": "EUR"},
        ],
        "key": ["order_id"],
        "unmapped": "keep",
    },
}


class Sample:
    """Made once, by set-up; afterwards it is the organisation's own, to change or delete."""

    def __init__(self, pipelines: Pipelines, dashboards: Dashboards) -> None:
        self._pipelines, self._dashboards = pipelines, dashboards

    async def create(self, who: Principal) -> None:
        host = await self._pipelines.create(who, THIS_HOST)
        await self._pipelines.create(who, ORDERS_DEMO)
        await self._dashboards.create(who, this_host_dashboard(host.pipeline.id))


def this_host_dashboard(pipeline_id: str) -> dict[str, Any]:
    """Return the document of the dashboard "This host"."""
    return {
        "name": "This host",
        "widgets": [
            _stat(pipeline_id, "CPU", "cpu_percent", "%", 80),
            _stat(pipeline_id, "Memory", "mem_percent", "%", 85),
            _stat(pipeline_id, "Disk", "disk_percent", "%", 80),
            _stat(pipeline_id, "Load, 1 min", "load_1m", None, None),
            _chart(pipeline_id, "cpu", "CPU", {"cpu_percent": "CPU"}, "%"),
            _chart(pipeline_id, "memory", "Memory", {"mem_percent": "Memory"}, "%"),
            _chart(
                pipeline_id,
                "network",
                "Network",
                {"net_in_bytes_per_sec": "in", "net_out_bytes_per_sec": "out"},
                "B/s",
            ),
            _chart(
                pipeline_id,
                "disk",
                "Disk",
                {"disk_read_bytes_per_sec": "read", "disk_write_bytes_per_sec": "write"},
                "B/s",
            ),
            _table(pipeline_id),
        ],
    }


def _stat(pipeline_id: str, title: str, field: str, unit: str | None, warn: float | None) -> dict[str, Any]:
    query = {"pipeline": pipeline_id, "measures": [{"op": "last", "field": field, "as": title}], "range": "1m"}
    widget: dict[str, Any] = {"id": f"{field}_now", "title": title, "type": "stat", "query": query}
    if unit:
        widget["unit"] = unit
    if warn is not None:
        widget["thresholds"] = [{"value": warn, "colour": "warn"}, {"value": 95, "colour": "bad"}]
    return widget


def _chart(pipeline_id: str, widget_id: str, title: str, series: dict[str, str], unit: str) -> dict[str, Any]:
    query = {
        "pipeline": pipeline_id,
        "measures": [{"op": "avg", "field": field, "as": name} for field, name in series.items()],
        "bucket": "1s",
        "range": "5m",
    }
    return {"id": widget_id, "title": title, "type": "timeseries", "query": query, "unit": unit, "span": 2}


def _table(pipeline_id: str) -> dict[str, Any]:
    query = {
        "pipeline": pipeline_id,
        "measures": [
            {"op": "avg", "field": "cpu_percent", "as": "CPU, average %"},
            {"op": "p95", "field": "cpu_percent", "as": "CPU, 95th percentile %"},
            {"op": "max", "field": "mem_used_bytes", "as": "Memory, most B"},
            {"op": "count", "as": "Samples"},
        ],
        "group_by": ["host"],
        "range": "1h",
    }
    return {"id": "last-hour", "title": "Last hour", "type": "table", "query": query, "span": 4}
