"""What the Prometheus registry holds, as an OTLP export request for metrics in JSON. Pure: nothing is sent here.

JSON by hand rather than a library: the ones there are bring protobuf and a transport of their own, and the shape is
small. Names stay as ``/metrics`` shows them, so that one dashboard reads both.

Source: OTLP specification 1.9, *JSON Protobuf Encoding* (names in lowerCamelCase, 64-bit integers as texts, enums as
numbers); OpenTelemetry *Prometheus and OpenMetrics compatibility* for which type becomes which.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, pairwise
from typing import Any, Final

import msgspec
from prometheus_client.core import Metric
from prometheus_client.samples import Sample

CUMULATIVE: Final = 2  # AGGREGATION_TEMPORALITY_CUMULATIVE
SCOPE: Final = "dash-appliance"


class Clocked(msgspec.Struct, frozen=True):
    """Of when the values are [seconds since 1970]. ``started``: when counters that do not say began at nothing."""

    started: float
    now: float


def export_request(metrics: Iterable[Metric], resource: Mapping[str, str], when: Clocked) -> bytes:
    """Return the body of one post to ``/v1/metrics``."""
    scope = {"name": SCOPE, "version": resource.get("service.version", "")}
    told = [one for metric in metrics for one in _metric(metric, when)]
    return msgspec.json.encode(
        {
            "resourceMetrics": [
                {
                    "resource": {"attributes": _attributes(resource)},
                    "scopeMetrics": [{"scope": scope, "metrics": told}],
                }
            ]
        }
    )


def _metric(metric: Metric, when: Clocked) -> Iterator[dict[str, Any]]:
    """Counters become monotonic sums, histograms histograms, and all else gauges; what has no value is left out."""
    samples = [one for one in metric.samples if math.isfinite(one.value)]
    started = {_series(one): one.value for one in samples if one.name == f"{metric.name}_created"}
    name, points, shape = metric.name, [], "gauge"
    if metric.type == "counter":
        name, shape = f"{metric.name}_total", "sum"
        points = [_number(one, when, _start(one, started, when)) for one in samples if one.name == name]
    elif metric.type == "histogram":
        shape = "histogram"
        points = list(_histograms(metric.name, samples, started, when))
    else:
        points = [_number(one, when) for one in samples if one.name == name]
    if points:
        more: dict[str, Any] = {} if shape == "gauge" else {"aggregationTemporality": CUMULATIVE}
        if shape == "sum":
            more["isMonotonic"] = True
        yield {"name": name, "description": metric.documentation, shape: {"dataPoints": points, **more}}


def _number(sample: Sample, when: Clocked, started: float | None = None) -> dict[str, Any]:
    point: dict[str, Any] = {"attributes": _attributes(sample.labels), "timeUnixNano": _nanos(when.now)}
    if started is not None:
        point["startTimeUnixNano"] = _nanos(started)
    return {**point, "asDouble": float(sample.value)}


def _histograms(
    name: str, samples: Iterable[Sample], started: Mapping[Any, float], when: Clocked
) -> Iterator[dict[str, Any]]:
    """Yield one point for each series: buckets of Prometheus hold the smaller ones too, those of OTLP do not."""
    for series, group in groupby(sorted(samples, key=_series), key=_series):
        parts = list(group)
        buckets = sorted((float(one.labels["le"]), one.value) for one in parts if one.name == f"{name}_bucket")
        if not buckets:
            continue
        total = next((one.value for one in parts if one.name == f"{name}_sum"), 0.0)
        counts = [buckets[0][1], *(above - below for (_, below), (_, above) in pairwise(buckets))]
        yield {
            "attributes": _attributes(dict(series)),
            "startTimeUnixNano": _nanos(started.get(series, when.started)),
            "timeUnixNano": _nanos(when.now),
            "count": str(int(buckets[-1][1])),
            "sum": float(total),
            "bucketCounts": [str(int(one)) for one in counts],
            "explicitBounds": [bound for bound, _ in buckets if math.isfinite(bound)],
        }


def _start(sample: Sample, started: Mapping[Any, float], when: Clocked) -> float:
    return started.get(_series(sample), when.started)


def _series(sample: Sample) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, value) for key, value in sample.labels.items() if key != "le"))


def _attributes(labels: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": str(value)}} for key, value in labels.items()]


def _nanos(secs: float) -> str:
    return str(round(secs * 1e6) * 1_000)
