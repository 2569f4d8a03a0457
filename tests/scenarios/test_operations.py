"""Incidents, failures, log and support bundle by the API: seen by those who run it, acknowledged, without secrets."""

import asyncio
import io
import zipfile
from datetime import timedelta

import pytest
import structlog
from sqlalchemy import update
from sqlalchemy.orm import Session

from appliance.cli.findings import say_findings
from appliance.components.jobs import NewJob
from appliance.conditions import Conditions
from appliance.domain.clock import utc_now
from appliance.domain.ids import NodeId
from appliance.domain.incident import Condition, Severity
from appliance.domain.node import Card
from appliance.errors import Invalid
from appliance.observe import logs
from appliance.services.support_reading import read, stands_out
from appliance.storage.control.jobs import enqueue
from appliance.storage.control.nodes import Nodes
from appliance.storage.control.tables import JobRow
from tests.scenarios.conftest import Scene

LATE = Condition(
    key="lag:pip_1", severity=Severity.P2, title="boiler-room is behind", message="5 events wait", remedy="wait",
    page="runbook#lag",
)  # fmt: skip
FULL = Condition(
    key="disk", severity=Severity.P0, title="The disk fills up", message="0 bytes free", remedy="make room",
    page="runbook#disk",
)  # fmt: skip


async def test_incidents_come_gravest_first_and_are_acknowledged(scene: Scene) -> None:
    async def wrong() -> list[Condition]:
        return [LATE, FULL]

    scene.it.incidents.look = wrong
    await scene.it.incidents.once()
    async with scene.client(scene.tokens["admin"]) as admin:
        items = (await admin.get("/api/v1/incidents")).json()["items"]
        assert [one["condition"]["severity"] for one in items] == ["P0", "P2"]
        answer = await admin.post(f"/api/v1/incidents/{items[0]['id']}/acknowledge")
        assert (answer.status_code, answer.json()["acknowledged_by"]) == (200, "token admin")
        assert (await admin.post("/api/v1/incidents/inc_none/acknowledge")).status_code == 404
    kept = (scene.it.settings.server.data_dir / "operations.json").read_text()
    assert "boiler-room is behind" in kept


async def test_what_is_over_is_shown_when_it_is_asked_for(scene: Scene) -> None:
    found = [FULL]

    async def wrong() -> list[Condition]:
        return found

    watch = scene.it.incidents
    watch.look = wrong
    await watch.once()
    found.clear()
    await watch.once()
    now = watch._clock
    watch._clock = lambda: now() + timedelta(minutes=3)
    await watch.once()
    async with scene.client(scene.tokens["admin"]) as admin:
        assert (await admin.get("/api/v1/incidents")).json()["items"] == []
        (old,) = (await admin.get("/api/v1/incidents?every=true")).json()["items"]
        assert old["closed_at"] is not None


async def test_a_node_that_is_gone_is_an_incident_of_the_others(scene: Scene) -> None:
    plane = scene.it.plane
    for node_id in (scene.it.node_id, NodeId("node_other")):
        card = Card(
            id=node_id, life="l", name="vm", role="all", address="http://127.0.0.1:1", version="1", offers=(),
            every_secs=3.0,
        )  # fmt: skip
        await asyncio.to_thread(Nodes(plane).enter, card)
        await asyncio.to_thread(Nodes(plane).leave, card)
    conditions = Conditions(scene.it, None, None)  # type: ignore[arg-type] # of nodes neither of them tells
    found = await plane.read(lambda tx: list(conditions._nodes(tx)))
    assert [one.key for one in found] == ["node:node_other"]


@pytest.mark.usefixtures("all_is_logged")
async def test_failures_and_lines_of_the_log_without_secrets(scene: Scene) -> None:
    logs.configure("info", "json", io.StringIO())
    try:
        raise ValueError("the upstream refused dash_" + "a" * 40)
    except ValueError:
        structlog.get_logger("test").exception("upstream.failed", password="hunter2")
    async with scene.client(scene.tokens["admin"]) as admin:
        failure = (await admin.get("/api/v1/failures")).json()["items"][0]
        assert (failure["event"], failure["kind"]) == ("upstream.failed", "ValueError")
        lines = await admin.get("/api/v1/log", params={"search": "UPSTREAM.failed"})
        assert "hunter2" not in lines.text
        assert "a" * 40 not in lines.text
        assert (await admin.get("/api/v1/log?level=loud")).status_code == 422
        assert (await admin.delete("/api/v1/failures", params={"key": failure["key"]})).status_code == 204
        assert (await admin.delete("/api/v1/failures", params={"key": failure["key"]})).status_code == 404


@pytest.mark.usefixtures("all_is_logged")
async def test_a_bundle_is_what_the_preview_showed_and_names_nobody(scene: Scene, tmp_path) -> None:  # type: ignore[no-untyped-def]
    await scene.boilers()
    source = {
        "type": "http_poll",
        "url": "https://h.example/?sig=Q1",
        "auth": {"type": "bearer", "token": "Q2-of-theirs"},
    }
    logs.configure("info", "json", io.StringIO())
    async with scene.client(scene.tokens["admin"]) as admin:
        made = await admin.post("/api/v1/pipelines", json={"name": "p", "source": source, "mapping": {}})
        assert made.status_code == 201
        said = "https://h.example/?sig=Q1 answered jörg@example.org: Q2-of-theirs is no token"
        structlog.get_logger("test").warning("poll.odd", error=said)
        preview = (await admin.get("/api/v1/support-bundle/preview")).json()
        answer = await admin.get("/api/v1/support-bundle")
    path = tmp_path / "bundle.zip"
    path.write_bytes(answer.content)
    files = read(path)
    assert sorted(files) == sorted(one["name"] for one in preview["files"])
    everything = "".join(files.values())
    for secret in ("@example.org", "boiler-room", "sig=Q1", "Q2-of-theirs", *scene.tokens.values()):
        assert secret not in everything
    assert "poll.odd" in files["log.jsonl"]
    assert next(iter(stands_out(files))).message.startswith("dash ")


def test_a_bundle_that_was_changed_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("about.json", "{}")
        archive.writestr("manifest.json", '{"about.json": "00"}')
    with pytest.raises(Invalid, match="not as it was written"):
        read(path)
    path.write_bytes(b"no zip")
    with pytest.raises(Invalid, match="cannot be read"):
        read(path)


@pytest.mark.parametrize(
    "files",
    [
        {"readiness.json": "[]"},
        {"readiness.json": '{"disk": true}'},
        {"incidents.json": '[{"closed_at": null}]'},
        {"failures.json": '{"count": 1}'},
        {"doctor.json": '[{"about": "disk", "state": "odd", "message": ""}]'},
        {"about.json": "[" * 100_000},
    ],
)
def test_a_bundle_that_somebody_made_up_is_refused_in_a_sentence(files: dict[str, str]) -> None:
    with pytest.raises(Invalid, match="not as Dash writes it"):
        list(stands_out(files))


def test_a_bundle_does_not_steer_the_terminal_of_whoever_reads_it(capsys: pytest.CaptureFixture[str]) -> None:
    say_findings(list(stands_out({"readiness.json": '{"\\u001b[2J": [false, "\\u009b31m gone"]}'})), as_json=False)
    shown = capsys.readouterr().out
    assert ("\x1b" in shown, "\x9b" in shown, "\\x1b[2J" in shown) == (False, False, True)


async def test_resources_tell_what_is_used_of_what_may_be(scene: Scene) -> None:
    scene.it.disk.look()
    async with scene.client(scene.tokens["admin"]) as admin:
        told = (await admin.get("/api/v1/resources")).json()
    usage = told["usage"]
    assert 1 << 20 < usage["memory"]["resident_bytes"] < usage["memory"]["most_bytes"]
    assert 0 < usage["open_files"] < usage["most_open_files"]
    pools = {one["name"]: one for one in usage["pools"]}
    assert (pools["read"]["threads"], pools["read"]["waiting"]) == (4, 0)
    assert told["disk"]["total_bytes"] > 0
    assert bool(usage["connections"]) == (scene.it.settings.database.url is not None)


async def test_what_cleaning_up_did_is_told(scene: Scene) -> None:
    def ended(tx: Session) -> None:
        enqueue(tx, NewJob(kind="control.tidy"), utc_now())
        tx.execute(update(JobRow).values(state="done", started_at=utc_now(), finished_at=utc_now()))

    await scene.it.plane.write(ended)
    async with scene.client(scene.tokens["admin"]) as admin:
        (one,) = (await admin.get("/api/v1/resources")).json()["clean_ups"]
    assert (one["title"], one["state"], one["freed_bytes"]) == (
        "Sessions, answers and jobs that are over",
        "done",
        None,
    )
