"""The appliance as its operator meets it: one process, one port, signals, a live feed, and no second one beside it."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.programs import promtool
from tests.running import EMAIL, PASSWORD, RunningAppliance, standard_headers

MAPPING: dict[str, Any] = {"fields": [{"name": "n", "path": "$.n", "type": "integer", "required": True}]}


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAppliance]:
    """One for all tests that leave it running; each makes pipelines of its own."""
    one = RunningAppliance(tmp_path_factory.mktemp("appliance"))
    one.setup()
    one.start()
    yield one
    one.stop()


def post(one: RunningAppliance, pipeline_id: str, secret: str, delivery_id: str, value: Any) -> httpx.Response:
    body = json.dumps(value).encode()
    headers = standard_headers(secret, delivery_id, body)
    return httpx.post(f"{one.url}/in/{pipeline_id}", content=body, headers=headers, trust_env=False)


def feed(one: RunningAppliance, **headers: str) -> ClientConnection:
    address = one.url.replace("http://", "ws://") + "/api/v1/feed"
    return connect(address, additional_headers=headers or {"authorization": f"Bearer {one.token}"})


def told(connection: ClientConnection) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(connection.recv(timeout=10))
    return answer


def test_an_event_travels_from_a_signed_post_to_records_feed_and_ledger(appliance: RunningAppliance) -> None:
    pipeline_id, secret = appliance.create_pipeline("first", MAPPING)
    with feed(appliance) as live:
        live.send(json.dumps({"subscribe": [f"pipeline:{pipeline_id}"]}))
        first = told(live)
        assert (first["snapshot"], first["rows"], first["last_seq"]) == (True, [], 0)
        answer = post(appliance, pipeline_id, secret, "a", [{"n": 1}, {"n": 2, "more": "x"}, {"n": "not a number"}])
        assert (answer.status_code, answer.json()) == (202, {"accepted": 3, "first_seq": 1, "last_seq": 3})
        change = told(live)
    rows = [(row["n"], row["_seq"], row.get("_extra")) for row in change["rows"]]
    assert rows == [
        (1, 1, None),
        (2, 2, {"more": "x"}),
    ]
    assert change["stats"]["ledger"] == {
        "received": 3, "stored": 2, "filtered": 0, "duplicate": 0, "dead": 1, "pending": 0,
    }  # fmt: skip
    again = post(appliance, pipeline_id, secret, "a", [{"n": 1}])
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    with appliance.client() as client:
        records = client.get(f"/api/v1/pipelines/{pipeline_id}/records").json()["items"]
        dead = client.get(f"/api/v1/pipelines/{pipeline_id}/dead-letters").json()["items"]
    assert [row["n"] for row in records] == [2, 1]
    letters = [(one["seq"], one["reason"], one["field"], one["value"]) for one in dead]
    assert letters == [(3, "type", "n", "not a number")]


def test_the_feed_says_what_is_wrong_and_goes_on(appliance: RunningAppliance) -> None:
    with feed(appliance) as live:
        live.send("nonsense")
        assert told(live)["error"]["code"] == "E_MALFORMED"
        live.send(json.dumps({"subscribe": ["pipeline:pl_of_somebody_else"]}))
        assert told(live)["error"]["code"] == "E_NOT_FOUND"
        live.send(json.dumps({"subscribe": ["weather"]}))
        assert told(live)["error"]["code"] == "E_NOT_FOUND"
        live.send(json.dumps({"subscribe": ["pipelines:org_of_somebody_else"]}))
        assert told(live)["error"]["code"] == "E_NOT_FOUND"
        live.send(json.dumps({"subscribe": ["pipelines"]}))
        assert told(live)["topic"] == "pipelines"


def test_the_feed_is_closed_to_strangers_and_to_other_sites(appliance: RunningAppliance) -> None:
    with feed(appliance, nobody="x") as live, pytest.raises(ConnectionClosed) as ended:
        live.recv(timeout=10)
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 4401
    for origin in ("http://evil.example", "http://["):
        bearer = {"authorization": f"Bearer {appliance.token}", "origin": origin}
        with feed(appliance, **bearer) as live, pytest.raises(ConnectionClosed) as ended:
            live.recv(timeout=10)
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 4403


def test_sigterm_ends_open_streams_and_keeps_what_was_accepted(tmp_path: Path) -> None:
    one = RunningAppliance(tmp_path)
    one.setup()
    one.start()
    pipeline_id, secret = one.create_pipeline("drain", MAPPING)
    with feed(one) as live:
        live.send(json.dumps({"subscribe": [f"pipeline:{pipeline_id}"]}))
        told(live)
        accepted = 0
        ending = threading.Timer(0.5, one.stop)
        ending.start()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                answer = post(one, pipeline_id, secret, f"d-{accepted}", {"n": accepted})
            except httpx.HTTPError:
                break  # the port is closed: the process is about to end
            if answer.status_code == 503:
                assert int(answer.headers["retry-after"]) >= 1
                continue
            assert answer.status_code == 202, answer.text
            accepted += 1
        ending.join()
    one.start()
    assert accepted > 0
    assert one.wait_refined(pipeline_id)["stored"] == accepted
    assert one.stop() == 0


def test_an_open_stream_does_not_hold_up_the_end(tmp_path: Path) -> None:
    one = RunningAppliance(tmp_path)
    one.setup()
    one.start()
    pipeline_id, _ = one.create_pipeline("stream", MAPPING)
    with one.client() as client, client.stream("GET", f"/api/v1/pipelines/{pipeline_id}/stream") as stream:
        assert stream.status_code == 200
        began = time.monotonic()
        assert one.stop() == 0
        assert time.monotonic() - began < 10  # far below the 20 seconds after which open requests are given up


def test_a_second_instance_on_the_same_directory_is_refused_with_the_pid(appliance: RunningAppliance) -> None:
    second = appliance.run("serve", "--port", "0")
    assert second.returncode == 75
    assert str(appliance.pid) in second.stderr


def test_a_port_in_use_is_told_in_one_sentence(tmp_path: Path) -> None:
    one = RunningAppliance(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = one.run("serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 69
    assert "another program uses that port" in done.stderr
    assert "Traceback" not in done.stderr


def test_set_up_refuses_to_run_twice(appliance: RunningAppliance) -> None:
    appliance.stop()
    with pytest.raises(RuntimeError, match="has been set up before"):
        appliance.setup()
    appliance.start()


def test_sighup_reads_the_settings_again(tmp_path: Path) -> None:
    one = RunningAppliance(tmp_path, environment={"DASH_LOG_FORMAT": "json"})
    one.setup()
    one.start()
    (one.data_dir / "dash-appliance.toml").write_text('[log]\nlevel = "debug"\n')
    os.kill(one.pid, signal.SIGHUP)
    deadline = time.monotonic() + 10
    while "appliance.reloaded" not in one.log.read_text():
        assert time.monotonic() < deadline, one.log.read_text()
        time.sleep(0.02)
    assert one.stop() == 0


def test_metrics_are_clean(appliance: RunningAppliance) -> None:
    pipeline_id, secret = appliance.create_pipeline("metrics", MAPPING)
    post(appliance, pipeline_id, secret, "a", {"n": 1})
    appliance.wait_refined(pipeline_id)
    text = httpx.get(f"{appliance.url}/metrics", trust_env=False).text
    assert f'dash_events_received_total{{pipeline="{pipeline_id}"}} 1.0' in text
    checked = subprocess.run([promtool(), "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_rows_shown_before_a_restart_are_shown_after_it(appliance: RunningAppliance) -> None:
    pipeline_id, secret = appliance.create_pipeline("warm", MAPPING)
    post(appliance, pipeline_id, secret, "a", [{"n": 1}, {"n": 2}])
    appliance.wait_refined(pipeline_id)
    appliance.kill()
    appliance.start()
    with appliance.client() as client:
        recent = client.get(f"/api/v1/pipelines/{pipeline_id}/recent").raise_for_status().json()
    assert [row["n"] for row in recent["items"]] == [1, 2]


def test_a_browser_session_opens_api_and_screens_alike(appliance: RunningAppliance) -> None:
    with httpx.Client(base_url=appliance.url, trust_env=False) as browser:
        assert browser.get("/pipelines").headers["location"].startswith("/sign-in")
        signed_in = browser.post(
            "/api/v1/session", json={"email": EMAIL, "password": PASSWORD}, headers={"origin": appliance.url}
        )
        assert signed_in.is_success
        assert browser.get("/pipelines").status_code == 200
        assert browser.get("/api/v1/pipelines").status_code == 200


def test_a_key_that_is_missing_is_told_and_not_replaced(tmp_path: Path) -> None:
    one = RunningAppliance(tmp_path)
    one.setup()
    (one.data_dir / "secret.key").unlink()
    for command in ("verify", "serve"):
        done = one.run(command)
        assert (done.returncode, "secret.key" in done.stderr) == (78, True), done.stderr
    assert "put secret.key back" in one.run("doctor").stdout
    assert not (one.data_dir / "secret.key").exists()


def test_verify_does_not_call_an_empty_place_fine(tmp_path: Path) -> None:
    done = RunningAppliance(tmp_path).run("verify")
    assert done.returncode == 78
    assert not (tmp_path / "data").exists()


def test_an_origin_that_cannot_be_read_is_foreign_and_no_mistake_of_ours(appliance: RunningAppliance) -> None:
    answer = httpx.post(
        f"{appliance.url}/api/v1/session",
        json={"email": EMAIL, "password": PASSWORD},
        headers={"origin": "http://["},
        trust_env=False,
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "E_FORBIDDEN")


def test_a_token_cannot_outlive_the_calendar(appliance: RunningAppliance) -> None:
    with appliance.client() as client:
        late = {"name": "z", "role": "viewer", "expires_at": "9999-12-31T23:59:59-12:00"}
        assert client.post("/api/v1/tokens", json=late).status_code == 422
