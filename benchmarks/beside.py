"""Beside others: the same events into InfluxDB 1.6 and VictoriaMetrics, where the distribution has installed them.

Each is asked to take 1,000 readings a request in its own format, over 8 connections, in interleaved rounds. InfluxDB
syncs before it answers, as Dash does; VictoriaMetrics answers before the disk has anything. Only what they are sent is
alike: Dash keeps the raw event, they keep numbers.
"""

import json
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from benchmarks.events import MAPPING, make
from benchmarks.load import Plan, running
from benchmarks.report import Figure, median, spread
from benchmarks.running import appliance
from tests.running import free_port

ROUNDS, SECONDS, EVENTS = 3, 4, 1_000

INFLUX = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
[monitor]
  store-enabled = false
"""


def figures() -> Iterator[Figure]:
    events = make(EVENTS)
    rates: dict[str, list[float]] = {}
    lines = _line_protocol(events)
    with ExitStack() as stack:
        one = stack.enter_context(appliance())
        pipeline_id, secret = one.create_pipeline("beside", MAPPING)
        json_array = b"[" + b",".join(events) + b"]"
        targets = {"Dash": Plan(f"{one.url}/in/{pipeline_id}", secret, json_array, 8, SECONDS, 16_000)}
        if shutil.which("influxd"):
            url = stack.enter_context(_influxdb())
            targets["InfluxDB 1.6"] = Plan(f"{url}/write?db=dash&precision=ms", "", lines, 8, SECONDS, 1)
        if program := shutil.which("victoria-metrics"):
            url = stack.enter_context(_victoria_metrics(program))
            targets["VictoriaMetrics"] = Plan(f"{url}/write?precision=ms", "", lines, 8, SECONDS, 1)
        for _ in range(ROUNDS):
            for name in random.sample(list(targets), len(targets)):
                with running(targets[name]) as load:
                    sent = load.result()
                rates.setdefault(name, []).append((sent.requests - sent.refused) * EVENTS / sent.seconds)
                one.wait_refined(pipeline_id, 120)
    for name, rate in rates.items():
        yield Figure(f"beside: {name}, 1,000 a request, 8 connections", median(rate), "events/s", remark=spread(rate))
    for name in sorted(set(rates) - {"Dash"}):
        ratio = [ours / theirs for ours, theirs in zip(rates["Dash"], rates[name], strict=True)]
        yield Figure(f"  Dash as a ratio to {name}", median(ratio), "×", remark=spread(ratio))


def _line_protocol(events: list[bytes]) -> bytes:
    lines = []
    for event in map(json.loads, events):
        numbers = ",".join(f"{name}={event[name]}" for name in ("temp_c", "humidity", "pressure", "battery", "counter"))
        lines.append(f"reading,device={event['device']},site={event['site']} {numbers} {event['ts']}")
    return "\n".join(lines).encode()


@contextmanager
def _influxdb() -> Iterator[str]:
    with TemporaryDirectory(prefix="dash-influx-") as folder:
        port = free_port()
        config = Path(folder) / "influxdb.conf"
        config.write_text(INFLUX.format(folder=folder, port=port, rpc=free_port()))
        with _process(["influxd", "-config", str(config)], f"http://127.0.0.1:{port}/ping") as url:
            httpx.post(f"{url}/query", params={"q": "CREATE DATABASE dash"}, trust_env=False).raise_for_status()
            yield url


@contextmanager
def _victoria_metrics(program: str) -> Iterator[str]:
    with TemporaryDirectory(prefix="dash-victoria-") as folder:
        port = free_port()
        command = [program, f"-storageDataPath={folder}", f"-httpListenAddr=127.0.0.1:{port}", "-loggerLevel=ERROR"]
        with _process(command, f"http://127.0.0.1:{port}/health") as url:
            yield url


@contextmanager
def _process(command: list[str], alive: str) -> Iterator[str]:
    """Run ``command`` until the end of the context; yield its address once ``alive`` answers."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                if httpx.get(alive, timeout=1, trust_env=False).is_success:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield alive.rsplit("/", 1)[0]
    finally:
        child.terminate()
        child.wait(timeout=30)
