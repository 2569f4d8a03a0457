"""A real appliance in a process of its own: set up, started, killed and stopped by tests and benchmarks."""

import base64
import hashlib
import hmac
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.licensed import issued

CHECKOUT = (sys.executable, "-m", "tests.licensed")  # the appliance, which believes licences of the tests
EMAIL, PASSWORD = "admin@example.org", "a long pass phrase for testing"
REPOSITORY = Path(__file__).parent.parent


class RunningAppliance:
    """One data directory and, between ``start`` and ``stop`` or ``kill``, one process that serves it."""

    def __init__(
        self,
        folder: Path,
        *,
        program: tuple[str, ...] = CHECKOUT,
        environment: Mapping[str, str] | None = None,
        community: bool = False,
    ) -> None:
        """``community``: without the licence that is otherwise installed at the first start, and has no limits."""
        self.folder, self.data_dir = folder, folder / "data"
        self.log = folder / "log"
        self.token = ""
        self.url = ""
        self.start_secs = 0.0
        self._program = program
        self._to_be_licensed = False
        self._community = community
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DASH_TEST_")}
        self.environment = {**inherited, "DASH_SERVER_DATA_DIR": str(self.data_dir), **(environment or {})}
        self._child: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def _running(self) -> "subprocess.Popen[str]":
        if self._child is None:
            raise RuntimeError("the appliance is not running")
        return self._child

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the appliance to its end."""
        return subprocess.run(
            [*self._program, *arguments], env=self.environment, cwd=REPOSITORY, capture_output=True, text=True,
            check=False, timeout=120,
        )  # fmt: skip

    def setup(self, *, sample: bool = False) -> None:
        """Make the administrator and keep the token."""
        password = self.folder / "password"
        password.write_text(PASSWORD)
        done = self.run(
            "setup", "--admin-email", EMAIL, "--admin-password-file", str(password), "--print-token",
            *(["--sample"] if sample else []),
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"setup failed: {done.stderr}")
        self.token = done.stdout.strip()
        self._to_be_licensed = not self._community

    def start(self, *arguments: str) -> None:
        """Start serving on a free port and return when it says that it is ready."""
        began = time.perf_counter()
        with self.log.open("a") as log:
            self._child = subprocess.Popen(
                [*self._program, "serve", "--port", str(free_port()), *arguments],
                env=self.environment, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        line = self._child.stdout.readline() if self._child.stdout else ""
        if not line.startswith("ready "):
            self.kill()
            raise RuntimeError(f"the appliance did not start: {self.log.read_text()[-4000:]}")
        self.start_secs = time.perf_counter() - began
        self.url = line.split()[1]
        if self._to_be_licensed:
            with self.client() as client:
                client.put("/api/v1/license", json={"document": issued()}).raise_for_status()
            self._to_be_licensed = False

    def kill(self) -> None:
        """End the process as a power cut would end it: without asking."""
        self._end(signal.SIGKILL)

    def wait_dead(self, seconds: float) -> None:
        """Return when the process has ended by itself; none running: at once."""
        child = self._child
        if child is not None:
            child.wait(timeout=seconds)
            self._child = None
            if child.stdout:
                child.stdout.close()

    def stop(self) -> int:
        """End it as a service manager does and return its exit code; not running: 0."""
        return self._end(signal.SIGTERM) if self._child else 0

    def _end(self, how: signal.Signals) -> int:
        child, self._child = self._running, None
        child.send_signal(how)
        code = child.wait(timeout=60)
        if child.stdout:
            child.stdout.close()
        return code

    def client(self) -> httpx.Client:
        """Return a client that speaks as the administrator."""
        return httpx.Client(
            base_url=self.url, headers={"authorization": f"Bearer {self.token}"}, timeout=60, trust_env=False
        )

    def create_pipeline(self, name: str, mapping: dict[str, Any], **more: Any) -> tuple[str, str]:
        """Create a signed webhook; return its id and secret."""
        document = {"name": name, "source": {"type": "webhook"}, "mapping": mapping, **more}
        with self.client() as client:
            body = client.post("/api/v1/pipelines", json=document).raise_for_status().json()
        return body["id"], body["secret"]

    def ledger(self, pipeline_id: str) -> dict[str, int]:
        with self.client() as client:
            answer: dict[str, int] = client.get(f"/api/v1/pipelines/{pipeline_id}/ledger").raise_for_status().json()
        return answer

    def wait_refined(self, pipeline_id: str, seconds: float = 30) -> dict[str, int]:
        """Return the ledger once nothing is pending."""
        deadline = time.monotonic() + seconds
        while (ledger := self.ledger(pipeline_id))["pending"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"still pending after {seconds} s: {ledger}")
            time.sleep(0.02)
        return ledger


def standard_headers(secret: str, delivery_id: str, body: bytes, at: float | None = None) -> dict[str, str]:
    """Return the headers of Standard Webhooks 1.0.0 for ``body``, signed now; ``at``: by another clock."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.digest(key, f"{delivery_id}.{stamp}.".encode() + body, hashlib.sha256)
    return {
        "content-type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


@contextmanager
def at_work(threads: Sequence[threading.Thread], ended: threading.Event) -> Iterator[None]:
    """Let threads run inside, which end soon after ``ended`` is set."""
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(holds: Callable[[], bool], secs: float = 20.0) -> float:
    """Return how long it took until ``holds`` did."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + secs, "it did not come about in time"
        time.sleep(0.05)
    return time.monotonic() - began
