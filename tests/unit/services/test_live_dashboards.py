import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from appliance.domain.access import Principal, Role
from appliance.domain.ids import DashboardId, OrganisationId, PipelineId
from appliance.engine.topics import Hub, Mailbox
from appliance.errors import NotFound
from appliance.services.live_dashboards import LiveDashboards
from appliance.services.views import DashboardView, QueryAnswer

WHO = Principal(organisation_id=OrganisationId("org_a"), role=Role.VIEWER, name="ada")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class OneDashboard:
    widgets = [
        {"id": "cpu", "query": {"pipeline": "pl_host", "bucket": "1m"}},
        {"id": "orders", "query": {"pipeline": "pl_orders"}},
    ]

    async def get(self, who: Principal, dashboard_id: DashboardId) -> DashboardView:
        if dashboard_id != "d1":
            raise NotFound(f"there is no dashboard {dashboard_id!r}")
        return DashboardView(id=dashboard_id, name="x", widgets=self.widgets, created_at=NOON, updated_at=NOON)


class Answers:
    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def query(self, who: Principal, document: dict[str, Any]) -> QueryAnswer:
        self.asked.append(document)
        if document["pipeline"] == "pl_gone":
            raise NotFound("there is no pipeline 'pl_gone'")
        return QueryAnswer(["_time", "n"], [{"_time": 1, "n": len(self.asked)}])


@asynccontextmanager
async def followed(topic: str) -> AsyncIterator[tuple[LiveDashboards, Answers, Mailbox, Any]]:
    hub, answers = Hub(), Answers()
    live = LiveDashboards(OneDashboard(), answers, hub, msgspec.json.encode)  # type: ignore[arg-type]
    async with hub.mailbox() as mailbox:
        mailbox.follow(topic)
        first = msgspec.json.decode(await live.follow(WHO, topic))
        yield live, answers, mailbox, first
        await live.close()


async def told(mailbox: Mailbox) -> Any:
    async with asyncio.timeout(5):
        return msgspec.json.decode(await mailbox.get())


async def test_a_follower_gets_all_widgets_first_and_then_those_that_changed() -> None:
    async with followed("dashboard:d1") as (live, _, mailbox, first):
        assert first == {
            "topic": "dashboard:d1",
            "widgets": {
                "cpu": {"columns": ["_time", "n"], "rows": [[1, 1]]},
                "orders": {"columns": ["_time", "n"], "rows": [[1, 2]]},
            },
        }
        live.committed(PipelineId("pl_orders"))
        assert await told(mailbox) == {
            "topic": "dashboard:d1",
            "widgets": {"orders": {"columns": ["_time", "n"], "rows": [[1, 3]]}},
        }


async def test_a_second_follower_costs_one_answer_and_no_second_watch() -> None:
    async with followed("dashboard:d1") as (live, answers, mailbox, _):
        await live.follow(WHO, "dashboard:d1")
        assert len(answers.asked) == 4
        live.committed(PipelineId("pl_host"))
        await told(mailbox)
        assert len(answers.asked) == 5


async def test_a_chosen_range_replaces_the_widgets_own() -> None:
    async with followed("dashboard:d1@1h") as (_, answers, _, first):
        assert first["topic"] == "dashboard:d1@1h"
        assert answers.asked[0] == {"pipeline": "pl_host", "bucket": "15s", "range": "1h"}
        assert answers.asked[1] == {"pipeline": "pl_orders", "range": "1h"}


async def test_one_widget_that_cannot_be_answered_says_so_and_the_others_go_on(monkeypatch: Any) -> None:
    monkeypatch.setattr(OneDashboard, "widgets", [{"id": "gone", "query": {"pipeline": "pl_gone"}}])
    async with followed("dashboard:d1") as (_, _, _, first):
        assert first["widgets"]["gone"]["error"]["code"] == "E_NOT_FOUND"


async def test_a_dashboard_that_is_not_there_cannot_be_followed() -> None:
    with pytest.raises(NotFound):
        async with followed("dashboard:d2"):
            pass


async def test_nothing_is_computed_once_nobody_listens() -> None:
    async with followed("dashboard:d1") as (live, answers, mailbox, _):
        mailbox.leave("dashboard:d1")
        live.committed(PipelineId("pl_host"))
        async with asyncio.timeout(5):
            while live._tasks:  # noqa: ASYNC110 - what is awaited has no event of its own
                await asyncio.sleep(0.005)
        assert len(answers.asked) == 2
