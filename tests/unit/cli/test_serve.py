"""What is looked at before anything listens."""

import os
import socket
from pathlib import Path

import pytest

from appliance.cli.exits import Unavailable
from appliance.cli.serve import taken_port, with_port
from appliance.errors import ConfigError
from appliance.settings import Settings, load
from appliance.settings.environment import handed_over, handing_over


def settings(tmp_path: Path, **server: object) -> Settings:
    return load({"server.data_dir": str(tmp_path)} | {f"server.{key}": value for key, value in server.items()}, {})


def test_port_zero_becomes_a_free_one(tmp_path: Path) -> None:
    asked = settings(tmp_path, port=0)
    with taken_port(asked) as port:
        assert 1024 <= with_port(asked, port).server.port <= 65_535


def test_a_port_in_use_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=f"listening on 127.0.0.1 port {port}: another program uses that port"):
            taken_port(settings(tmp_path, port=port))


def test_an_address_of_somebody_else_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        taken_port(settings(tmp_path, host="192.0.2.1"))
    assert caught.value.problems[0].message == "cannot listen on '192.0.2.1': Cannot assign requested address"


def test_who_goes_on_with_a_port_is_told_by_its_environment() -> None:
    pid = str(os.getpid())
    assert handed_over({"LISTEN_PID": pid, "LISTEN_FDS": "1"}) == 3
    for env in ({}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_PID": pid, "LISTEN_FDS": "2"}):
        assert handed_over(env) is None
    assert handed_over(handing_over()) == 3
