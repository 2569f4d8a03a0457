"""Live dashboards: each widget's query runs once per change, whoever watches, and the answer is fanned out."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import structlog

from appliance.domain.access import Principal
from appliance.domain.ids import DashboardId, PipelineId
from appliance.errors import DashError
from appliance.services.dashboards import Dashboards
from appliance.services.queries import Queries

LEAST_PAUSE_SECS: Final = 0.25  # at most four answers a second
REST_SHARE: Final = 3.0  # a dashboard that takes 200 ms to compute is refreshed at most every 600 ms
SLIDE_SECS: Final = 15.0  # a time range moves on even when nothing arrives
ANY: Final = PipelineId("*")  # stands for all pipelines
# The ranges a viewer may choose, each with the bucket that gives some 150 to 300 points a line.
RANGES: Final = {"5m": "1s", "15m": "5s", "1h": "15s", "6h": "2m", "24h": "5m"}

log = structlog.get_logger("dashboards")


class Publisher(Protocol):
    def heard(self, topic: str) -> bool: ...
    def publish(self, topic: str, payload: bytes) -> None: ...


class LiveDashboards:
    """Answers ``dashboard:<id>`` and ``dashboard:<id>@<range>``; a topic is computed only while somebody listens."""

    def __init__(
        self, dashboards: Dashboards, queries: Queries, hub: Publisher, encode: Callable[[Any], bytes]
    ) -> None:
        self._dashboards, self._queries = dashboards, queries
        self._hub = hub
        self._encode = encode
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changed: dict[str, set[PipelineId]] = {}
        self._pokes: dict[str, asyncio.Event] = {}

    def committed(self, pipeline_id: PipelineId) -> None:
        """Note that rows of ``pipeline_id`` changed."""
        for topic, changed in self._changed.items():
            changed.add(pipeline_id)
            self._pokes[topic].set()

    def look_again(self) -> None:
        """Note that rows of any pipeline may have changed."""
        self.committed(ANY)

    async def follow(self, who: Principal, topic: str) -> bytes:
        """Return all widgets' present answers, and keep publishing changes on ``topic`` while it is heard.

        Raises:
            NotFound: no such dashboard in this organisation.
        """
        widgets = await self._widgets(who, topic)
        if topic not in self._tasks:
            self._changed[topic], self._pokes[topic] = set(), asyncio.Event()
            self._tasks[topic] = asyncio.create_task(self._keep(who, topic), name=topic)
        return self._payload(topic, await self._answers(who, widgets))

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _keep(self, who: Principal, topic: str) -> None:
        changed, poke = self._changed[topic], self._pokes[topic]
        try:
            while True:
                slid = not await _within(SLIDE_SECS, poke)
                if not self._hub.heard(topic):
                    return
                poke.clear()
                began = time.monotonic()
                widgets = await self._widgets(who, topic)
                every = slid or ANY in changed
                stale = [one for one in widgets if every or one.get("query", {}).get("pipeline") in changed]
                changed.clear()
                if stale:
                    self._hub.publish(topic, self._payload(topic, await self._answers(who, stale)))
                await asyncio.sleep(max(LEAST_PAUSE_SECS, (time.monotonic() - began) * REST_SHARE))
        except DashError as error:
            log.info("dashboard.ended", topic=topic, error=str(error))
            told = {"topic": topic, "error": {"code": error.code, "title": str(error)}}
            self._hub.publish(topic, self._encode(told))
        finally:
            del self._tasks[topic], self._changed[topic], self._pokes[topic]

    async def _widgets(self, who: Principal, topic: str) -> list[dict[str, Any]]:
        name, _, chosen = topic.partition("@")
        view = await self._dashboards.get(who, DashboardId(name.removeprefix("dashboard:")))
        if not chosen:
            return view.widgets
        return [one | {"query": _over(one["query"], chosen)} if "query" in one else one for one in view.widgets]

    async def _answers(self, who: Principal, widgets: list[dict[str, Any]]) -> dict[str, Any]:
        return {one["id"]: await self._answer(who, one) for one in widgets if "query" in one}

    async def _answer(self, who: Principal, widget: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = await self._queries.query(who, widget["query"])
        except DashError as error:
            return {"error": {"code": error.code, "title": str(error)}}
        return {"columns": answer.columns, "rows": [list(row.values()) for row in answer.rows]}

    def _payload(self, topic: str, widgets: dict[str, Any]) -> bytes:
        return self._encode({"topic": topic, "widgets": widgets})


def _over(query: dict[str, Any], chosen: str) -> dict[str, Any]:
    """Return ``query`` over the range ``chosen``, in buckets that suit it."""
    kept = {name: value for name, value in query.items() if name not in ("from", "to")}
    bucket = {"bucket": RANGES.get(chosen, query["bucket"])} if "bucket" in query else {}
    return kept | {"range": chosen} | bucket


async def _within(secs: float, event: asyncio.Event) -> bool:
    """Return whether ``event`` was set within ``secs``."""
    try:
        async with asyncio.timeout(secs):
            await event.wait()
    except TimeoutError:
        return False
    return True
