"""What a serving appliance tells of itself to others: nothing, unless the settings say to whom."""

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Final

from appliance import __version__
from appliance.engine.courier import Courier
from appliance.observe.log_book import BOOK
from appliance.observe.metrics import Metrics
from appliance.observe.telemetry_metrics import TelemetryMetrics

if TYPE_CHECKING:
    from appliance.compose import Appliance

SERVICE: Final = "dash-appliance"


def start_telling(it: "Appliance", stack: AsyncExitStack, metrics: Metrics, since: datetime) -> None:
    """Start what is switched on; nothing else is imported. ``since``: when this process began to serve."""
    couriers = [*_failures(it, stack, since), *_metrics(it, stack, metrics, since)]
    if couriers:
        metrics.add(TelemetryMetrics({one.to: one.counts for one in couriers}))


def _failures(it: "Appliance", stack: AsyncExitStack, since: datetime) -> list[Courier]:
    if it.settings.telemetry.sentry_dsn is None:
        return []
    from appliance.engine.error_reports import ErrorReports
    from appliance.observe.destinations import parse_sentry_dsn

    dsn = parse_sentry_dsn(it.settings.telemetry.sentry_dsn)
    courier = Courier(it.outbound, "failures", dsn.url, dsn.headers)
    about = {"release": f"{SERVICE}@{__version__}", "server_name": it.node_id}
    reports = ErrorReports(BOOK, courier, about, since)
    stack.callback(asyncio.create_task(reports.run(), name="error reports").cancel)
    return [courier]


def _metrics(it: "Appliance", stack: AsyncExitStack, metrics: Metrics, since: datetime) -> list[Courier]:
    telemetry = it.settings.telemetry
    if telemetry.otlp_url is None:
        return []
    from appliance.engine.metric_posts import MetricPosts
    from appliance.observe.destinations import parse_headers

    courier = Courier(it.outbound, "metrics", telemetry.otlp_url, parse_headers(telemetry.otlp_headers or ""))
    resource = {"service.name": SERVICE, "service.version": __version__, "service.instance.id": it.node_id}
    posts = MetricPosts(metrics.collect, courier, resource, since)
    every_secs = telemetry.otlp_interval.total_seconds()
    stack.callback(asyncio.create_task(posts.run(every_secs), name="metric posts").cancel)
    return [courier]
