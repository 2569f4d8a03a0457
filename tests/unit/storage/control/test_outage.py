"""Who looks for a server that is away, and who is told without looking."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from appliance.domain.database.refusal import Part, Refusal
from appliance.storage.control.backend import Unreachable
from appliance.storage.control.outage import Outage

SILENT = Refusal(Part.HOST, "db port 5432 does not answer", "look at the firewall", passes=True)


class Server:
    """``takes_secs``: how long an attempt takes; ``there``: whether it then answers."""

    def __init__(self) -> None:
        self.now, self.takes_secs, self.there, self.attempts = 100.0, 5.0, False, 0

    def clock(self) -> float:
        return self.now

    def connect(self) -> str:
        self.attempts += 1
        self.now += self.takes_secs
        if not self.there:
            raise Unreachable(SILENT)
        return "a connection"


def refused(outage: Outage, server: Server) -> str:
    with pytest.raises(Unreachable) as caught:
        outage.connected(server.connect)
    return str(caught.value)


def test_after_a_slow_failure_nobody_looks_for_a_second() -> None:
    server = Server()
    outage = Outage(server.clock)
    told = refused(outage, server)
    assert told == "the database cannot be used now: db port 5432 does not answer; look at the firewall"
    assert refused(outage, server) == told
    assert server.attempts == 1
    server.now += 1.0
    refused(outage, server)
    assert server.attempts == 2


def test_after_a_quick_failure_the_next_looks_at_once() -> None:
    server = Server()
    server.takes_secs = 0.0
    outage = Outage(server.clock)
    refused(outage, server)
    server.there = True
    assert outage.connected(server.connect) == "a connection"


def test_once_it_is_back_everybody_connects() -> None:
    server = Server()
    outage = Outage(server.clock)
    refused(outage, server)
    server.there, server.now = True, server.now + 1.0
    assert [outage.connected(server.connect) for _ in range(3)] == ["a connection"] * 3


def test_while_one_looks_the_others_are_told_what_was_found_before() -> None:
    server, looking, go_on = Server(), threading.Event(), threading.Event()
    outage = Outage(server.clock)
    refused(outage, server)
    server.now += 1.0

    def slowly() -> str:
        looking.set()
        assert go_on.wait(10)
        return "a connection"

    with ThreadPoolExecutor(1) as other:
        one = other.submit(outage.connected, slowly)
        assert looking.wait(10)
        refused(outage, server)
        assert server.attempts == 1
        go_on.set()
        assert one.result() == "a connection"


def test_what_is_no_refusal_is_passed_on_and_the_next_may_look() -> None:
    server = Server()
    outage = Outage(server.clock)
    refused(outage, server)
    server.now += 1.0
    with pytest.raises(ZeroDivisionError):
        outage.connected(lambda: 1 / 0)
    server.there = True
    assert outage.connected(server.connect) == "a connection"
