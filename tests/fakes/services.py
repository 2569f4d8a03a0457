"""Services that hold a little made-up data in memory: the screens run on them without an appliance."""

import asyncio
import json
import math
import secrets
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec

from appliance.domain.access import Principal, Role
from appliance.domain.event import Envelope, StoredEvent
from appliance.domain.ids import new_id
from appliance.domain.ledger import Ledger
from appliance.domain.mapping import Mapping
from appliance.domain.pipeline import Retention, State
from appliance.domain.stats import LiveStats
from appliance.errors import Conflict, Invalid, NotFound, Problem, Unauthenticated
from appliance.services.views import (
    CreatedPipeline,
    CreatedToken,
    DashboardView,
    DeadLetter,
    OrganisationView,
    Page,
    PipelineView,
    Preview,
    PreviewColumn,
    QueryAnswer,
    SetupAnswer,
    SetupRequest,
    SignedIn,
    TokenInfo,
    VersionView,
)  # fmt: skip

NOW = datetime.now(UTC)
HOST_FIELDS = {"cpu_percent": "%", "memory_percent": "%", "disk_percent": "%", "network_sent": "B/s", "network_received": "B/s"}


def value(field: str, at: float) -> float:
    wave = math.sin(at / 37) + 0.5 * math.sin(at / 11) + 0.2 * math.sin(at / 3.1)
    scale = {"cpu_percent": (28, 14), "memory_percent": (61, 2), "disk_percent": (43, 0.2)}.get(field, (180_000, 90_000))
    return max(0.0, scale[0] + scale[1] * wave)


class Fake:
    """All services in one object; ``as_services`` hands out the parts."""

    def __init__(self, *, fresh: bool) -> None:
        self.fresh = fresh
        self.organisation = "Example Works"
        self.who = Principal(organisation_id="org_1", role=Role.ADMIN, name="ada@example.org", user_id="usr_1")
        self.cookies: set[str] = set()
        self.pipelines: dict[str, PipelineView] = {}
        self.boards: dict[str, DashboardView] = {}
        self.tokens_: list[TokenInfo] = []
        self.began = time.time()
        if not fresh:
            self.sample()

    def as_services(self) -> Any:
        names = ["setup", "sessions", "tokens", "organisations", "pipelines", "records", "previews", "queries", "dashboards"]
        return SimpleNamespace(**{name: globals()[name.capitalize()](self) for name in names})

    def add(self, name: str, source: dict[str, Any], mapping: Any = None, description: str | None = None, state: State = State.RUNNING) -> PipelineView:
        key = new_id("pl")
        view = PipelineView(
            id=key, name=name, description=description, state=state, version=1, source=source,
            mapping=msgspec.convert(mapping or {"fields": []}, Mapping), persist=True, sinks=[], retention=Retention(),
            rate_limit=None, ingest_url=f"/in/{key}" if source["type"] == "webhook" else None, created_at=NOW,
            updated_at=NOW, live=self.stats(name, state),
        )  # fmt: skip
        self.pipelines[key] = view
        return view

    def stats(self, name: str, state: State) -> LiveStats:
        ran = time.time() - self.began + 5000
        rate = {"this-host": 1.0, "orders-demo": 41 + 18 * math.sin(time.time() / 9), "boiler-room": 0.0}.get(name, 1240 + 300 * math.sin(time.time() / 5))
        if state is not State.RUNNING:
            rate = 0.0
        received = int(ran * (rate or 3))
        dead, filtered, duplicate, pending = received // 90, received // 14, received // 40, int(rate * 0.05)
        if name == "this-host":
            dead = filtered = duplicate = pending = 0
        ledger = Ledger(received, received - dead - filtered - duplicate - pending, filtered, duplicate, dead, pending)
        error = "polling https://api.example.org/v1/readings: the server answered 401; check the token in the source's headers" if state is State.FAILED else None
        return LiveStats(rate_per_sec=rate, lag_events=pending, lag_secs=0.05 if pending else 0, last_received_at=datetime.now(UTC), last_error=error, ledger=ledger)

    def sample(self) -> None:
        host = self.add("this-host", {"type": "host_metrics", "every": "1s"}, {"fields": [{"name": n, "type": "float", "path": f"$.{n}", "unit": u} for n, u in HOST_FIELDS.items()]}, "CPU, memory, disk and network of this machine")
        self.add("orders-demo", {"type": "webhook", "signature": "standard_webhooks", "secrets": ["********"]}, {
            "time": {"path": "$.created_at"}, "fields": [
                {"name": "order_id", "type": "string", "path": "$.id", "required": True},
                {"name": "customer", "type": "string", "path": "$.customer.name"},
                {"name": "amount", "type": "decimal", "path": "$.amount", "min": 0, "unit": "EUR"},
                {"name": "amount_net", "type": "float", "expr": "amount / 1.19"},
                {"name": "status", "type": "string", "path": "$.status", "enum": ["paid", "open", "refunded"]},
            ], "where": "status <> 'test'", "key": ["order_id"]}, "Orders of the web shop, signed")  # fmt: skip
        self.add("boiler-room", {"type": "http_poll", "url": "https://api.example.org/v1/readings", "every": "30s"}, None, None, State.FAILED)
        self.add("line-4-vibration", {"type": "webhook", "signature": "github"}, None, "Accelerometers of press line 4")
        self.add("archive-import", {"type": "webhook", "signature": "none"}, None, None, State.PAUSED)
        series = lambda key, title, fields, unit, **more: {"id": key, "title": title, "type": "timeseries", "unit": unit, "query": {"pipeline": host.id, "measures": [{"op": "avg", "field": f, "as": f} for f in fields], "bucket": "5s", "range": "15m"}, **more}  # noqa: E731
        stat = lambda key, title, field, unit, **more: {"id": key, "title": title, "type": "stat", "unit": unit, "query": {"pipeline": host.id, "measures": [{"op": "avg", "field": field, "as": field}], "bucket": "15s", "range": "15m"}, **more}  # noqa: E731
        widgets = [
            stat("cpu", "CPU", "cpu_percent", "%", thresholds=[{"value": 70, "colour": "warn"}, {"value": 90, "colour": "bad"}]),
            stat("mem", "Memory", "memory_percent", "%", thresholds=[{"value": 60, "colour": "warn"}]),
            stat("disk", "Disk", "disk_percent", "%"),
            stat("net", "Network in", "network_received", "B/s"),
            series("cpu_t", "CPU", ["cpu_percent"], "%", thresholds=[{"value": 70, "colour": "warn"}]),
            series("net_t", "Network", ["network_sent", "network_received"], "B/s"),
            series("mem_t", "Memory", ["memory_percent"], "%"),
            {"id": "top", "title": "Top disks", "type": "table", "unit": "%", "query": {"pipeline": host.id, "group_by": ["mount"], "measures": [{"op": "max", "field": "disk_percent", "as": "used"}], "range": "15m"}},
        ]  # fmt: skip
        board = DashboardView(id="db_1", name="This host", widgets=widgets, created_at=NOW, updated_at=NOW)
        self.boards[board.id] = board
        self.tokens_.append(TokenInfo(id="tok_1", name="grafana", role=Role.VIEWER, hint="dash_7Kq2", created_by="ada@example.org", created_at=NOW - timedelta(days=3), expires_at=NOW + timedelta(days=87), last_used_at=NOW - timedelta(minutes=4), revoked=False))

    def answer(self, query: dict[str, Any]) -> QueryAnswer:
        if "group_by" in query:
            return QueryAnswer(["mount", "used"], [{"mount": "/", "used": 43.2}, {"mount": "/var/lib/dash-appliance", "used": 12.0}])
        now = time.time()
        secs = {"5m": 300, "15m": 900, "1h": 3600, "6h": 21600, "24h": 86400}.get(query.get("range", "15m"), 900)
        step = max(5, secs // 200)
        names = [m["as"] for m in query["measures"]]
        begin = int(now - secs) // step * step
        rows = []
        for at in range(begin, int(now), step):
            if 420 < now - at < 470:
                continue
            rows.append({"_time": datetime.fromtimestamp(at, UTC), **{n: value(n, at) if n != "n" else 41 * 10 for n in names}})
        return QueryAnswer(["_time", *names], rows)

    def rows(self, count: int) -> list[dict[str, Any]]:
        seq = int((time.time() - self.began) * 4) + 20_000
        out = []
        for n in range(count):
            at = datetime.now(UTC) - timedelta(seconds=(count - n) / 4)
            out.append({"_time": at.isoformat(), "_seq": seq - count + n, "order_id": f"ord_{(seq + n) * 7919 % 99991}", "customer": ["Ada Byron", "Grace Hopper", "Kurt G.", None][n % 4], "amount": round(20 + (n * 37 % 900) / 7, 2), "amount_net": (20 + (n * 37 % 900) / 7) / 1.19, "status": ["paid", "open", "paid", "refunded"][n % 4], "_extra": '{"channel":"web"}'})
        return out


class Part:
    def __init__(self, fake: Fake) -> None:
        self.fake = fake


class Setup(Part):
    async def needed(self) -> bool:
        return self.fake.fresh

    async def run(self, request: SetupRequest) -> SetupAnswer:
        if not self.fake.fresh:
            raise Conflict("setting up: this appliance is set up already")
        if "@" not in request.admin_email:
            raise Invalid([Problem("/admin_email", "expected an e-mail address")])
        self.fake.fresh, self.fake.organisation = False, request.organisation
        if request.sample:
            self.fake.sample()
        cookie = secrets.token_urlsafe(8)
        self.fake.cookies.add(cookie)
        return SetupAnswer(principal=self.fake.who, session_cookie=cookie)


class Sessions(Part):
    async def sign_in(self, email: str, password: str, remote: str | None) -> SignedIn:
        if password != "a long pass phrase":
            raise Unauthenticated("signing in failed: the e-mail address or the password is wrong")
        cookie = secrets.token_urlsafe(8)
        self.fake.cookies.add(cookie)
        return SignedIn(cookie=cookie, principal=self.fake.who, expires_at=NOW)

    async def resolve(self, cookie: str) -> Principal | None:
        return self.fake.who if cookie in self.fake.cookies else None

    async def sign_out(self, cookie: str) -> None:
        self.fake.cookies.discard(cookie)

    async def change_password(self, who: Principal, old: str, new: str) -> None:
        if old != "a long pass phrase":
            raise Unauthenticated("changing the password failed: the old password is wrong")


class Organisations(Part):
    async def get(self, who: Principal) -> OrganisationView:
        return OrganisationView(id="org_1", name=self.fake.organisation, created_at=NOW)


class Tokens(Part):
    async def create(self, who: Principal, name: str, role: Role, expires_at: datetime | None = None) -> CreatedToken:
        if not name:
            raise Invalid([Problem("/name", "expected a name")])
        info = TokenInfo(id=new_id("tok"), name=name, role=role, hint="dash_9xYz", created_by=who.name, created_at=datetime.now(UTC), expires_at=expires_at, last_used_at=None, revoked=False)
        self.fake.tokens_.append(info)
        return CreatedToken(token="dash_9xYzq0Vb2mTn4LrWc8JdKf1HgPs6AeXu0aB1cD", info=info)

    async def revoke(self, who: Principal, token_id: str) -> None:
        self.fake.tokens_ = [token for token in self.fake.tokens_ if token.id != token_id]

    async def list(self, who: Principal, cursor: str | None = None, limit: int = 50) -> Page[TokenInfo]:
        return Page(list(self.fake.tokens_))


class Pipelines(Part):
    secret = "whsec_" + "TUlHZk1BMEdDU3FHU0liM0RRRUJBUVVBQTRHTkFEQ0I="

    async def get(self, who: Principal, pipeline_id: str) -> PipelineView:
        if pipeline_id not in self.fake.pipelines:
            raise NotFound(f"Looking for the pipeline {pipeline_id!r}: there is none of this id in your organisation")
        view = self.fake.pipelines[pipeline_id]
        return msgspec.structs.replace(view, live=self.fake.stats(view.name, view.state))

    async def create(self, who: Principal, document: dict[str, Any]) -> CreatedPipeline:
        if not document["name"]:
            raise Invalid([Problem("/name", "expected 1 to 100 characters, got 0")])
        view = self.fake.add(document["name"], document["source"], document["mapping"])
        return CreatedPipeline(pipeline=view, secret=self.secret if view.ingest_url else None)

    async def replace(self, who: Principal, pipeline_id: str, document: dict[str, Any]) -> PipelineView:
        view = self.fake.pipelines[pipeline_id]
        try:
            mapping = msgspec.convert(document["mapping"], Mapping)
        except msgspec.ValidationError as error:
            raise Invalid([Problem("/mapping", str(error))]) from error
        self.fake.pipelines[pipeline_id] = msgspec.structs.replace(view, mapping=mapping, version=view.version + 1)
        return self.fake.pipelines[pipeline_id]

    async def delete(self, who: Principal, pipeline_id: str) -> None:
        del self.fake.pipelines[pipeline_id]

    async def pause(self, who: Principal, pipeline_id: str) -> PipelineView:
        return self._state(pipeline_id, State.PAUSED)

    async def resume(self, who: Principal, pipeline_id: str) -> PipelineView:
        return self._state(pipeline_id, State.RUNNING)

    def _state(self, pipeline_id: str, state: State) -> PipelineView:
        view = msgspec.structs.replace(self.fake.pipelines[pipeline_id], state=state)
        self.fake.pipelines[pipeline_id] = view
        return view

    async def secrets(self, who: Principal, pipeline_id: str) -> list[str]:
        return [self.secret]

    async def rotate_secret(self, who: Principal, pipeline_id: str) -> str:
        return "whsec_" + "bmV3IHNlY3JldCBuZXcgc2VjcmV0IG5ldyBzZWNyZXQ="

    async def drop_secret(self, who: Principal, pipeline_id: str) -> PipelineView:
        raise Conflict("forgetting old secrets: there is only one")

    async def versions(self, who: Principal, pipeline_id: str) -> list[VersionView]:
        return [VersionView(version=n, author=who.name, created_at=NOW - timedelta(hours=9 * (3 - n)), document={}) for n in (3, 2, 1)]

    async def list(self, who: Principal, cursor: str | None = None, limit: int = 50) -> Page[PipelineView]:
        return Page([await self.get(who, key) for key in self.fake.pipelines])


class Records(Part):
    async def dead_letters(self, who: Principal, pipeline_id: str, query: Any) -> list[DeadLetter]:
        if self.fake.pipelines[pipeline_id].name == "this-host":
            return []
        kinds = [("out_of_range", "amount", "-12.5", "expected at least 0"), ("missing", "order_id", None, "required, but the event has nothing at $.id"), ("wrong_type", "amount", "twelve", "expected a decimal number")]
        return [DeadLetter(seq=20_000 - 13 * n, item=0, reason=k[0], field=k[1], value=k[2], message=k[3], problems=[{}] * (1 + n % 2), received_at=NOW - timedelta(minutes=n), version=1) for n in range(24) for k in [kinds[n % 3]]]

    async def ledger(self, who: Principal, pipeline_id: str) -> Ledger:
        return self.fake.pipelines[pipeline_id].live.ledger

    async def event(self, who: Principal, pipeline_id: str, seq: int) -> StoredEvent:
        payload = {"id": f"ord_{seq}", "customer": {"name": "Ada Byron", "vat": None}, "amount": 129.9, "status": "paid", "created_at": "2031-03-04T10:11:12Z", "items": [{"sku": "A-1", "qty": 2}]}
        return StoredEvent(pipeline_id=pipeline_id, seq=seq, envelope=Envelope(received_at=NOW, source="webhook", delivery_id="msg_0b51f2", remote="203.0.113.9"), payload=json.dumps(payload).encode(), segment="000000000001.jsonl", line=seq - 3)


class Previews(Part):
    async def preview(self, who: Principal, mapping: dict[str, Any], samples: Any = None, pipeline_id: str | None = None, last: int = 100) -> Preview:
        problems = []
        for n, field in enumerate(mapping["fields"]):
            if not field.get("name"):
                problems.append(Problem(f"/mapping/fields/{n}/name", "expected 1 to 63 characters, got 0"))
            if "frobnicate" in str(field.get("expr")):
                problems.append(Problem(f"/mapping/fields/{n}/expr", "there is no function 'frobnicate'", "did you mean 'format'?"))
        if problems:
            raise Invalid(problems)
        dead = await Records(self.fake).dead_letters(who, pipeline_id, None)
        columns = [PreviewColumn("_time", "timestamp"), *[PreviewColumn(f["name"], f["type"]) for f in mapping["fields"]]]
        return Preview(columns=columns, rows=self.fake.rows(20), dead=dead[:2], filtered=7, events=100)


class Queries(Part):
    async def query(self, who: Principal, document: dict[str, Any]) -> QueryAnswer:
        return self.fake.answer(document)


class Dashboards(Part):
    async def get(self, who: Principal, dashboard_id: str) -> DashboardView:
        if dashboard_id not in self.fake.boards:
            raise NotFound(f"Looking for the dashboard {dashboard_id!r}: there is none of this id in your organisation")
        return self.fake.boards[dashboard_id]

    async def list(self, who: Principal, cursor: str | None = None, limit: int = 50) -> Page[DashboardView]:
        return Page(list(self.fake.boards.values()))


async def feed(fake: Fake, websocket: Any) -> None:
    """Speak the protocol of ``/api/v1/feed``."""
    await websocket.accept()
    topics: set[str] = set()

    async def listen() -> None:
        async for text in websocket.iter_text():
            wish = json.loads(text)
            for topic in wish.get("subscribe", []):
                topics.add(topic)
                await tell(topic, first=True)
            topics.difference_update(wish.get("unsubscribe", []))

    async def tell(topic: str, *, first: bool = False) -> None:
        body: dict[str, Any]
        kind, _, name = topic.partition(":")
        if kind == "pipelines":
            items = [{"id": v.id, "state": v.state.value} | msgspec.to_builtins(fake.stats(v.name, v.state)) for v in fake.pipelines.values()]
            body = {"topic": topic, "items": items}
        elif kind == "pipeline":
            view = fake.pipelines[name]
            rows = [] if view.name != "orders-demo" else fake.rows(100 if first else 3)
            body = {"topic": topic, "rows": rows, "last_seq": 1, "stats": msgspec.to_builtins(fake.stats(view.name, view.state))}
            if first:
                body["snapshot"] = True
        else:
            board, _, chosen = name.partition("@")
            widgets = {}
            for widget in fake.boards[board].widgets:
                answer = fake.answer(widget["query"] | ({"range": chosen} if chosen else {}))
                widgets[widget["id"]] = {"columns": answer.columns, "rows": [list(row.values()) for row in answer.rows]}
            body = {"topic": topic, "widgets": widgets}
        await websocket.send_text(msgspec.json.encode(body).decode())

    listener = asyncio.create_task(listen())
    while not listener.done():
        await asyncio.wait([listener], timeout=1.0)
        for topic in list(topics):
            await tell(topic)
