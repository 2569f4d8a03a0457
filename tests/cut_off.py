"""Three machines of pretence, as network namespaces: a node, a database's, and a router that can lose every packet.

The middle one is told to forward nothing. So nobody is refused and nobody is told: what is sent is never heard of
again, which is how a dead switch, a cable pulled further away, or a firewall that forgot looks to both ends.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NODE, DATABASE = "10.231.7.2", "10.231.7.6"
_NODE_SIDE, _DATABASE_SIDE = "10.231.7.1", "10.231.7.5"
_FORWARDING = "/proc/sys/net/ipv4/ip_forward"
_libc = ctypes.CDLL(None, use_errno=True)


def _why_not() -> str:
    """Return what this machine lacks; nothing: it can do it."""
    if os.getuid() != 0:
        return "network namespaces with a way between them need root"
    name = f"dash-{os.getpid()}-try"
    for tried in (
        ["ip", "netns", "add", name],
        ["ip", "-n", name, "link", "add", "left", "type", "veth", "peer", "name", "right"],
        ["ip", "netns", "delete", name],
    ):
        done = subprocess.run(tried, capture_output=True, text=True)
        if done.returncode:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
            return f"this machine joins no network namespaces: {done.stderr.strip()}"
    return ""


needs_namespaces = pytest.mark.skipif(bool(_why_not()), reason=_why_not() or "it can")


class Network:
    """``node`` - ``router`` - ``database``, joined by pairs of virtual cables."""

    def __init__(self) -> None:
        self._made: list[str] = []
        node, router, database = self.node, self.router, self.database = [
            f"dash-{os.getpid()}-{name}" for name in ("node", "router", "database")
        ]
        for name in (node, router, database):
            _ip("netns", "add", name)
            self._made.append(name)
            _ip("-n", name, "link", "set", "lo", "up")
        self._join("left", _NODE_SIDE, node, NODE)
        self._join("right", _DATABASE_SIDE, database, DATABASE)
        self.restore()

    def cut(self) -> None:
        """Lose every packet from now on, in both directions."""
        self._forward("0")

    def restore(self) -> None:
        self._forward("1")

    def close(self) -> None:
        while self._made:
            _ip("netns", "delete", self._made.pop())

    def _join(self, cable: str, here: str, there: str, address: str) -> None:
        _ip("-n", self.router, "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", there)
        for name, device, own in ((self.router, cable, here), (there, "eth0", address)):
            _ip("-n", name, "address", "add", f"{own}/30", "dev", device)
            _ip("-n", name, "link", "set", device, "up")
        _ip("-n", there, "route", "add", "default", "via", here)

    def _forward(self, whether: str) -> None:
        with inside(self.router):
            Path(_FORWARDING).write_text(whether)


@contextmanager
def network() -> Iterator[Network]:
    made = Network()
    try:
        yield made
    finally:
        made.close()


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Have this thread, and what it starts, live in the namespace; a socket stays in the one it was made in."""
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{name}") as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(home.fileno())


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, 0):
        raise OSError(ctypes.get_errno(), "a network namespace cannot be entered")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
