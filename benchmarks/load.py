"""Load from wrk, a client written in C, so that the client takes as little as possible of the machine it shares.

Every request is signed beforehand (Standard Webhooks, a delivery id of its own), so that the server does the whole of
its work and the client none of that.
"""

import base64
import hashlib
import hmac
import re
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

SCRIPT = """
local signed = {}
for line in io.lines(os.getenv("DASH_BENCH_SIGNED")) do signed[#signed + 1] = line end
local body = io.open(os.getenv("DASH_BENCH_BODY"), "rb"):read("*a")
local at = 0
function request()
  at = at % #signed + 1
  local id, stamp, signature, path = signed[at]:match("(%S+) (%S+) (%S+) ?(%S*)")
  if path == "" then path = nil end
  return wrk.format("POST", path, {["content-type"] = os.getenv("DASH_BENCH_TYPE"), ["webhook-id"] = id,
    ["webhook-timestamp"] = stamp, ["webhook-signature"] = signature}, body)
end
"""


@dataclass(frozen=True)
class Load:
    """What wrk said: requests answered, those not 2xx, seconds, and latencies in milliseconds."""

    requests: int
    refused: int
    seconds: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Plan:
    """What to send where: ``body`` again and again over ``connections``; ``most`` requests are signed beforehand.

    ``secret``: empty where nobody checks signatures. ``spread``: (path, secret) of each of many pipelines, instead of
    the one that ``url`` and ``secret`` name; each request goes to the next.
    """

    url: str
    secret: str
    body: bytes
    connections: int
    seconds: int
    most: int
    spread: tuple[tuple[str, str], ...] = ()


@contextmanager
def running(plan: Plan) -> Iterator["Running"]:
    """Start wrk with every request signed beforehand; it ends by itself after ``plan.seconds``."""
    with TemporaryDirectory(prefix="dash-load-") as directory:
        folder = Path(directory)
        (folder / "script.lua").write_text(SCRIPT)
        (folder / "body").write_bytes(plan.body)
        (folder / "signed").write_text(_signed(plan))
        command = [
            "wrk",
            "-t1",
            f"-c{plan.connections}",
            f"-d{plan.seconds}s",
            "--latency",
            "-s",
            "script.lua",
            plan.url,
        ]
        environment = {
            "DASH_BENCH_SIGNED": "signed", "DASH_BENCH_BODY": "body", "DASH_BENCH_TYPE": "application/json",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
        }  # fmt: skip
        child = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        yield Running(child)
        child.wait()


class Running:
    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self._child = child

    def result(self) -> Load:
        """Wait for the end and return what was sent."""
        said, _ = self._child.communicate()
        found = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", said)
        if found is None:
            raise RuntimeError(f"wrk did not run: {said}")
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
        seconds = float(found[2]) * {"ms": 0.001, "s": 1, "m": 60}[found[3]]
        return Load(int(found[1]), int(refused[1]) if refused else 0, seconds, _latency(said, 50), _latency(said, 99))


def _latency(said: str, percent: int) -> float:
    found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", said)
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]] if found else 0.0


def _signed(plan: Plan) -> str:
    """Return ``plan.most`` lines of id, timestamp, signature and, where requests are spread, path."""
    if not plan.secret and not plan.spread:
        return "unsigned 0 none\n"
    targets = [
        (path, base64.b64decode(secret.removeprefix("whsec_"))) for path, secret in plan.spread or (("", plan.secret),)
    ]
    stamp, name = str(int(time.time())), uuid.uuid4().hex
    lines = []
    for number in range(plan.most):
        path, key = targets[number % len(targets)]
        message_id = f"msg_{name}{number}"
        digest = hmac.digest(key, f"{message_id}.{stamp}.".encode() + plan.body, hashlib.sha256)
        lines.append(f"{message_id} {stamp} v1,{base64.b64encode(digest).decode()} {path}".rstrip())
    return "\n".join(lines) + "\n"
