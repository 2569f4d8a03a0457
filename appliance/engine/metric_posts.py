"""Posts the metrics of this node as OTLP at a steady beat; what nobody took is not kept: the next post has it all."""

import asyncio
import gzip
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import msgspec
import structlog
from prometheus_client.core import Metric

from appliance.domain.clock import Clock, utc_now
from appliance.engine.courier import Courier
from appliance.observe.otlp import Clocked, export_request

log = structlog.get_logger("telemetry")


class Partial(msgspec.Struct, rename="camel"):
    rejected_data_points: int | str = 0  # 64-bit integers are texts in this JSON
    error_message: str = ""


class Taken(msgspec.Struct, rename="camel"):
    """The part of the answer that is looked at."""

    partial_success: Partial | None = None


class MetricPosts:
    """``collect`` is called on the event loop, as a scrape is. ``resource``: attributes of this process."""

    def __init__(
        self,
        collect: Callable[[], Iterable[Metric]],
        courier: Courier,
        resource: Mapping[str, str],
        since: datetime,
        clock: Clock = utc_now,
    ) -> None:
        self._collect, self._courier, self._resource, self._clock = collect, courier, dict(resource), clock
        self._since = since
        self._rejected = ""

    async def run(self, every_secs: float) -> None:
        """Post on; returns only by cancellation."""
        while True:
            await asyncio.sleep(every_secs)
            await self.once()

    async def once(self) -> None:
        """Post what holds now, unless the other side asked to be left alone."""
        if self._courier.waits:
            return
        when = Clocked(self._since.timestamp(), self._clock().timestamp())
        metrics = list(self._collect())
        body = await asyncio.to_thread(_packed, metrics, self._resource, when)
        answer = await self._courier.post(body, {"content-type": "application/json", "content-encoding": "gzip"})
        if answer is not None:
            self._look(answer.body)

    def _look(self, answer: bytes) -> None:
        """Tell once of points that were refused inside a good answer."""
        try:
            partial = msgspec.json.decode(answer or b"{}", type=Taken).partial_success
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return  # an answer in protobuf or prose: it was taken
        told = partial.error_message if partial is not None else ""
        if partial is not None and told != self._rejected and int(partial.rejected_data_points or 0):
            log.warning("telemetry.points_refused", points=partial.rejected_data_points, reason=told)
        self._rejected = told


def _packed(metrics: Iterable[Metric], resource: Mapping[str, str], when: Clocked) -> bytes:
    return gzip.compress(export_request(metrics, resource, when), compresslevel=1)
