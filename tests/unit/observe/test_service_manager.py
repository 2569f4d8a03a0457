"""What systemd hears, on a socket as it makes them."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.observe.service_manager import ServiceManager
from appliance.settings.environment import Supervision, supervision


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        listening.settimeout(5)
        yield path, listening


def test_states(manager: tuple[str, socket.socket]) -> None:
    path, listening = manager
    service = ServiceManager(path)
    service.ready("ready http://127.0.0.1:8080")
    assert listening.recv(4096) == b"READY=1\nSTATUS=ready http://127.0.0.1:8080"
    service.reloading()
    assert listening.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    service.stopping()
    assert listening.recv(4096) == b"STOPPING=1\nSTATUS=draining"


async def test_signs_of_life_while_there_is_life(manager: tuple[str, socket.socket]) -> None:
    path, listening = manager
    listening.setblocking(False)
    answers = iter([True, True, False, False, True])
    asked_enough = asyncio.Event()

    async def alive() -> bool:
        try:
            return next(answers)
        except StopIteration:
            asked_enough.set()
            return False

    beating = asyncio.create_task(ServiceManager(path, 0.03).beat(alive))
    await asyncio.wait_for(asked_enough.wait(), 5)
    beating.cancel()
    assert [listening.recv(4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    with pytest.raises(BlockingIOError):
        listening.recv(4096)


async def test_without_a_manager_nothing_happens() -> None:
    async def alive() -> bool:
        raise AssertionError("nobody wants to know")

    service = ServiceManager(*supervision({}))
    service.ready("x")
    await asyncio.wait_for(service.beat(alive), 1)


def test_a_manager_that_has_gone_stops_nothing(tmp_path: Path) -> None:
    ServiceManager(str(tmp_path / "nobody")).ready("x")


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "30000000"}, Supervision("/run/x", 30.0)),
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}, Supervision("/run/x", None)),
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())},
         Supervision("/run/x", 0.5)),
        ({"WATCHDOG_USEC": "30000000"}, Supervision(None, None)),
        ({"NOTIFY_SOCKET": "", "WATCHDOG_USEC": "x"}, Supervision(None, None)),
    ],
)  # fmt: skip
def test_what_the_environment_says(env: dict[str, str], expected: Supervision) -> None:
    assert supervision(env) == expected
