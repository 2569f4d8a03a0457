"""A real appliance in a process of its own, set up in an empty directory, for the time of one benchmark."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil

PASSWORD = "a long pass phrase for measuring"


@dataclass(frozen=True)
class Appliance:
    """``url`` without a slash at the end; ``token``: an administrator's; ``process``: for its memory and CPU."""

    url: str
    token: str
    process: psutil.Process
    data_dir: Path
    start_secs: float

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.url, headers={"authorization": f"Bearer {self.token}"}, timeout=60, trust_env=False
        )

    def create_pipeline(self, name: str, mapping: dict[str, Any]) -> tuple[str, str]:
        """Return the ingest path and the secret of a new signed webhook."""
        with self.client() as client:
            answer = client.post(
                "/api/v1/pipelines", json={"name": name, "source": {"type": "webhook"}, "mapping": mapping}
            )
            answer.raise_for_status()
            body = answer.json()
        return body["id"], body["secret"]

    def ledger(self, pipeline_id: str) -> dict[str, int]:
        with self.client() as client:
            answer: dict[str, int] = client.get(f"/api/v1/pipelines/{pipeline_id}/ledger").raise_for_status().json()
        return answer


@contextmanager
def appliance(
    *, program: tuple[str, ...] = (sys.executable, "-m", "appliance"), sample: bool = False
) -> Iterator[Appliance]:
    """Set an appliance up, start it, yield it, stop it with SIGTERM and throw its data away."""
    with TemporaryDirectory(prefix="dash-bench-") as directory:
        data_dir = Path(directory)
        password = data_dir / "password"
        password.write_text(PASSWORD)
        environment = os.environ | {"DASH_SERVER_DATA_DIR": str(data_dir / "data")}
        setup = [*program, "setup", "--admin-email", "bench@example.org", "--admin-password-file", str(password)]
        token = subprocess.run(
            [*setup, "--print-token", *(["--sample"] if sample else [])],
            env=environment, check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip
        port = _free_port()
        began = time.perf_counter()
        child = subprocess.Popen(
            [*program, "serve", "--port", str(port)], env=environment, stdout=subprocess.PIPE, text=True,
            stderr=(data_dir / "log").open("w"),
        )  # fmt: skip
        try:
            line = child.stdout.readline() if child.stdout else ""
            if not line.startswith("ready "):
                raise RuntimeError(f"the appliance did not start: {(data_dir / 'log').read_text()[-2000:]}")
            started = time.perf_counter() - began
            yield Appliance(line.split()[1], token, psutil.Process(child.pid), data_dir / "data", started)
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(timeout=60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
