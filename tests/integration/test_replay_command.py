"""``dash-appliance replay`` against a running appliance: what it prints, its exit codes, and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import httpx
import pytest

from tests.running import REPOSITORY, RunningAppliance, standard_headers

MAPPING: dict[str, Any] = {
    "fields": [{"name": "number", "path": "$.number", "type": "integer", "required": True}],
    "unmapped": "drop",
}


class Commands:
    """A running appliance with one pipeline of three events, and its command."""

    def __init__(self, folder: Path) -> None:
        self.appliance = RunningAppliance(folder)
        self.appliance.setup()
        self.appliance.start()
        self.pipeline_id, secret = self.appliance.create_pipeline("numbers", MAPPING)
        body = json.dumps([{"number": number} for number in (1, 2, 3)]).encode()
        headers = standard_headers(secret, "once", body)
        httpx.post(f"{self.appliance.url}/in/{self.pipeline_id}", content=body, headers=headers, trust_env=False)
        self.appliance.wait_refined(self.pipeline_id)
        self.appliance.environment["DASH_TOKEN"] = self.appliance.token

    def replay(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self.appliance.run("replay", *arguments, "--url", self.appliance.url)


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    made = Commands(tmp_path_factory.mktemp("replay"))
    yield made
    made.appliance.stop()


def test_it_follows_a_replay_to_its_end_and_undoes_it(commands: Commands) -> None:
    done = commands.replay("numbers")
    assert done.returncode == 0, done.stderr
    told = "numbers: swapped in, version 1, rows that version 1 had made came out the very same; undo it until"
    assert done.stdout.splitlines()[-1].startswith(told)
    undone = commands.replay("numbers", "--undo")
    assert (undone.returncode, undone.stdout) == (0, "numbers: undone\n")


def test_with_json_it_prints_the_end_alone(commands: Commands) -> None:
    done = commands.replay(commands.pipeline_id, "--json")
    replay = json.loads(done.stdout)
    assert (done.returncode, replay["state"], replay["identical"]) == (0, "swapped", True)
    everything = json.loads(commands.replay("--all", "--json").stdout)
    assert everything["pipeline_id"] == commands.pipeline_id


def test_a_dry_run_tells_and_changes_nothing(commands: Commands) -> None:
    told = commands.replay("numbers", "--dry-run")
    assert told.returncode == 0
    assert told.stdout.startswith("numbers: 3 events by version 1, about ")


def test_without_swap_it_waits_until_it_is_told(commands: Commands) -> None:
    ready = commands.replay("numbers", "--no-swap")
    assert ready.stdout.splitlines()[-1].startswith("numbers: rebuilt and kept up to date; swap it in with")
    again = commands.replay("numbers")
    assert again.returncode == 1
    assert "is not finished: cancel it, or wait for its end" in again.stderr
    assert commands.replay("numbers", "--cancel").stdout == "numbers: cancelled\n"


def test_a_range_of_events_and_resending_are_asked_for(commands: Commands) -> None:
    told = commands.replay("numbers", "--first-seq", "2", "--last-seq", "0:3", "--dry-run")
    assert told.stdout.startswith("numbers: 2 events by version 1"), told.stderr
    done = commands.replay("numbers", "--resend", "--first-seq", "3", "--json")
    replay = json.loads(done.stdout)
    assert (replay["resend"], replay["first_seq"], replay["last_seq"], replay["state"]) == (True, 3, 3, "swapped")


def test_a_wrong_token_is_told_as_such(commands: Commands, tmp_path: Path) -> None:
    wrong = tmp_path / "token"
    wrong.write_text("dash_wrong")
    answer = commands.replay("numbers", "--token-file", str(wrong))
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: the token is not known: ")


class Halfway(BaseHTTPRequestHandler):
    """An appliance whose one replay is half done for ever."""

    REPLAY: ClassVar[dict[str, Any]] = {
        "id": "rp_1", "state": "rebuilding", "version": 2, "swap": True, "error": None, "identical": None,
        "progress": {"done_events": 500, "total_events": 1000, "rate_per_sec": 250.0, "secs_left": 2.0,
                     "throttled": True},
    }  # fmt: skip

    def do_GET(self) -> None:
        item = {"id": "pl_1", "name": "numbers"} if self.path.startswith("/api/v1/pipelines?") else self.REPLAY
        one = self.path.endswith("/replays/rp_1")
        body = json.dumps(item if one else {"items": [item], "next_cursor": None}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A program that was started in the background ignores interrupts, and so do its children: here they do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupted_it_leaves_the_replay_running_and_says_how_to_look() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Halfway) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        watching = subprocess.Popen(
            [sys.executable, "-m", "appliance", "replay", "numbers", "--watch",
             "--url", f"http://127.0.0.1:{server.server_port}"],
            env={**os.environ, "DASH_TOKEN": "dash_x", "PYTHONUNBUFFERED": "1"}, cwd=REPOSITORY,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert watching.stdout is not None
        first = watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        told, _ = watching.communicate(timeout=30)
        server.shutdown()
    assert first == (
        "numbers: [############------------]  50 %, 500 of 1,000 events, 250/s, 2 s left, "
        "held back beside live traffic\n"
    )
    assert watching.returncode == 130
    assert told == (
        "numbers: the replay goes on; look with 'dash-appliance replay numbers --watch', "
        "end it with 'dash-appliance replay numbers --cancel'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("nothing",), 1, "there is no pipeline 'nothing'; there are: numbers"),
        ((), 2, "say which PIPELINE, or --all"),
        (("numbers", "--from", "yesterday"), 1, "/from: expected a time"),
        (("numbers", "--version", "9"), 1, "has no version 9"),
        (("numbers", "--first-seq", "9"), 1, "/first_seq"),
        (("numbers", "--first-seq", "1:x"), 2, "written as 42, or 1:42 in partition 1"),
        (("numbers", "--swap", "--cancel"), 2, "--swap and --cancel exclude each other"),
        (("numbers", "--undo", "--from", "now-1d"), 2, "--undo and --from exclude each other"),
        (("numbers", "--dry-run", "--watch"), 2, "--watch and --dry-run exclude each other"),
        (("numbers", "--swap", "--no-swap"), 2, "--swap and --no-swap exclude each other"),
        (("numbers", "--cancel", "--version", "1"), 2, "--cancel and --version exclude each other"),
        (("--all", "--undo"), 2, "--undo is for one PIPELINE"),
        (("--all", "--last-seq", "2"), 2, "--last-seq is for one PIPELINE"),
        (("numbers", "--url", "http://127.0.0.1:1"), 69, "this command needs a running appliance"),
        (("numbers", "--token-file", "/nowhere"), 73, "the token file '/nowhere' cannot be read"),
    ],
)
def test_what_cannot_be_done_has_its_exit_code(
    commands: Commands, arguments: tuple[str, ...], code: int, told: str
) -> None:
    url = () if "--url" in arguments else ("--url", commands.appliance.url)
    answer = commands.appliance.run("replay", *arguments, *url)
    assert (answer.returncode, told in answer.stderr) == (code, True), answer.stderr
