"""What the fault tests of the whole appliance share: a sender that counts, a disk that refuses, and the check after it.

Every event carries a number that no other has and a pad, so that segments fill. A delivery is sent again under its id
until it is acknowledged, so afterwards each number must be there once: ``Subject.check`` compares the rows, the numbers
that Bronze gave out and the ledger, ``Subject.verify`` asks ``dash-appliance verify`` of the stopped appliance.
"""

import json
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from tests.running import RunningAppliance, standard_headers

NUMBER = {"name": "number", "path": "$.number", "type": "integer", "required": True}
TWICE = {"name": "twice", "expr": "number * 2", "type": "integer"}
THRICE = {"name": "thrice", "expr": "number * 3", "type": "integer"}
FIELDS: dict[int, list[dict[str, Any]]] = {1: [NUMBER, TWICE], 2: [NUMBER, TWICE, THRICE]}  # by version
ENVIRONMENT = {"DASH_BRONZE_SEGMENT_SIZE": "1 MiB", "DASH_DISK_STOP_FREE": "0 B"}
WITHIN_SECS = 60.0
A_DELIVERY = 20


def document(version: int) -> dict[str, Any]:
    mapping = {"fields": FIELDS[version], "unmapped": "drop"}
    return {"name": "crash", "source": {"type": "webhook"}, "mapping": mapping}


def until(done: Callable[[], object], told: Callable[[], object] = lambda: "", seconds: float = WITHIN_SECS) -> None:
    """Return once ``done``; fails with what is ``told`` when that takes too long."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, told()
        time.sleep(0.02)


class Sender(threading.Thread):
    """Posts numbers until it is told to end; goes on with a delivery until it is acknowledged."""

    def __init__(self, subject: "Subject", pad: int, clock: Callable[[], float]) -> None:
        super().__init__(daemon=True)
        self._subject, self._pad, self._clock = subject, "x" * pad, clock
        self.ending = threading.Event()
        self.answers: Counter[int] = Counter()  # by status; 0: none came
        self.trouble: str | None = None

    def run(self) -> None:
        with httpx.Client(timeout=10, trust_env=False) as client:
            while not self.ending.is_set():
                first = self._subject.acknowledged
                numbers = range(first, first + A_DELIVERY)
                body = json.dumps([{"number": number, "pad": self._pad} for number in numbers]).encode()
                deadline = time.monotonic() + WITHIN_SECS
                while not self._delivered(client, f"delivery-{first}", body):
                    if time.monotonic() > deadline:
                        return
                    self._subject.rest.wait(0.02)
                self._subject.acknowledged += A_DELIVERY

    def _delivered(self, client: httpx.Client, delivery_id: str, body: bytes) -> bool:
        headers = standard_headers(self._subject.secret, delivery_id, body, at=self._clock())
        try:
            answer = client.post(self._subject.door, content=body, headers=headers)
        except httpx.HTTPError:
            self.answers[0] += 1
            return False
        self.answers[answer.status_code] += 1
        if answer.status_code in (200, 202):
            return True
        self.trouble = answer.text
        if answer.status_code == 503 and "retry-after" not in answer.headers:
            self.trouble = f"a refusal does not say when to try again: {answer.text}"
            self.answers[-1] += 1
        return False


class Subject:
    """An appliance with one pipeline, a candidate version of its mapping, and what was acknowledged to its sender."""

    def __init__(self, appliance: RunningAppliance, pipeline_id: str, secret: str) -> None:
        self.appliance, self.pipeline_id, self.secret = appliance, pipeline_id, secret
        self.path = f"/api/v1/pipelines/{pipeline_id}"
        self.acknowledged = 0  # numbers 0 … acknowledged - 1
        self.version = 1
        self.rest = threading.Event()  # never set: what a sender waits for between two tries

    @classmethod
    def made(cls, folder: Path) -> "Subject":
        """Set a new one up; it has stopped."""
        appliance = RunningAppliance(folder, environment=ENVIRONMENT)
        appliance.setup()
        appliance.start()
        try:
            one = document(1)
            subject = cls(appliance, *appliance.create_pipeline(one["name"], one["mapping"]))
            with appliance.client() as client:
                client.post(f"{subject.path}/versions", json={"document": document(2)}).raise_for_status()
            with subject.sending(pad=2000) as sender:
                until(lambda: subject.acknowledged >= 3000, lambda: sender.answers)
            subject.check()
        finally:
            assert appliance.stop() == 0
        return subject

    def copied(self, folder: Path) -> "Subject":
        """Return the same in another folder; it does not run."""
        appliance = RunningAppliance(folder, environment=ENVIRONMENT)
        without = shutil.ignore_patterns("reserve")  # 64 MiB of nothing
        shutil.copytree(self.appliance.data_dir, appliance.data_dir, dirs_exist_ok=True, ignore=without)
        appliance.token = self.appliance.token
        subject = Subject(appliance, self.pipeline_id, self.secret)
        subject.acknowledged, subject.version = self.acknowledged, self.version
        return subject

    @property
    def door(self) -> str:
        return f"{self.appliance.url}/in/{self.pipeline_id}"

    @property
    def bronze(self) -> Path:
        return self.appliance.data_dir / "bronze" / self.pipeline_id

    @property
    def silver(self) -> Path:
        (found,) = (self.appliance.data_dir / "silver").glob("*.duckdb")
        return found

    @property
    def control(self) -> Path:
        return self.appliance.data_dir / "control.sqlite3"

    @contextmanager
    def sending(
        self, pad: int = 2000, clock: Callable[[], float] = time.time, answers: frozenset[int] = frozenset()
    ) -> Iterator[Sender]:
        """Let a sender post inside; all it began is acknowledged afterwards. ``answers``: others than usual."""
        sender = Sender(self, pad, clock)
        sender.start()
        try:
            yield sender
        finally:
            sender.ending.set()
            sender.join(WITHIN_SECS + 15)
        assert not sender.is_alive()
        assert set(sender.answers) <= {0, 200, 202, 503} | answers, (sender.answers, sender.trouble)

    def send(self, count: int, **sending: Any) -> None:
        """Have ``count`` more numbers acknowledged."""
        goal = self.acknowledged + count
        with self.sending(**sending) as sender:
            until(lambda: self.acknowledged >= goal, lambda: (sender.answers, sender.trouble))

    def readiness(self) -> dict[str, tuple[bool, str]]:
        """Return what ``/readyz`` says of each part; its status agrees."""
        with self.appliance.client() as client:
            answer = client.get("/readyz")
        parts = {name: (part["ready"], part["reason"]) for name, part in answer.json()["parts"].items()}
        assert answer.status_code == (200 if all(ready for ready, _ in parts.values()) else 503)
        return parts

    def ready(self) -> bool:
        return all(ready for ready, _ in self.readiness().values())

    def await_reason(self, part: str, reason: str, *, ready: bool = False) -> None:
        """Wait until ``/readyz`` says ``reason`` of ``part``."""
        until(
            lambda: (found := self.readiness()[part])[0] is ready and reason in found[1],
            lambda: f"/readyz does not name {reason!r}: {self.readiness()}",
        )

    def replay(self, version: int) -> None:
        """Rebuild by ``version`` and swap; returns when it is swapped."""
        with self.appliance.client() as client:
            client.post(f"{self.path}/replays", json={"version": version}).raise_for_status()
        self.await_replay("swapped")

    def replay_over_damage(self, version: int) -> None:
        """Do the same where the log has damage: it is not swapped in before a person says so, and says why."""
        with self.appliance.client() as client:
            one = client.post(f"{self.path}/replays", json={"version": version}).raise_for_status().json()
            self.await_replay("ready")
            assert "Bronze cannot be read at events" in self.replays()[0]["error"]
            client.post(f"{self.path}/replays/{one['id']}/swap").raise_for_status()
        self.await_replay("swapped")

    def await_replay(self, state: str) -> None:
        """Wait for the newest replay; the version that runs afterwards is the replay's where it was swapped."""
        until(lambda: self.replays()[0]["state"] == state, lambda: self.replays()[0])
        if state == "swapped":
            self.version = self.replays()[0]["version"]

    def replays(self) -> list[dict[str, Any]]:
        with self.appliance.client() as client:
            items: list[dict[str, Any]] = client.get(f"{self.path}/replays").raise_for_status().json()["items"]
        return items

    def rows(self) -> list[dict[str, Any]]:
        """Return all rows, in the order of their numbers."""
        with self.appliance.client() as client:
            answer = client.get(
                f"{self.path}/records",
                params={"limit": 1_000_000, "order": "asc"},
                headers={"accept": "application/x-ndjson"},
            ).raise_for_status()
        return sorted((json.loads(line) for line in answer.text.splitlines()), key=lambda row: row["number"])

    def check(self) -> None:
        """Assert that it is well, each acknowledged number there once as its version makes it, and the ledger exact."""
        until(self.ready, lambda: f"not well again: {self.readiness()}")
        ledger = self.appliance.wait_refined(self.pipeline_id, WITHIN_SECS)
        rows, many = self.rows(), self.acknowledged
        assert [row["number"] for row in rows] == list(range(many))
        assert sorted(row["_seq"] for row in rows) == list(range(1, many + 1))
        assert all(row["twice"] == row["number"] * 2 for row in rows)
        assert {row.get("thrice", 0) == row["number"] * 3 for row in rows if row["number"]} == {self.version == 2}
        assert ledger == {
            "received": many, "stored": many, "filtered": 0, "duplicate": 0, "dead": 0, "pending": 0,
        }  # fmt: skip

    def verify(self) -> None:
        """Stop it and prove its books against its files."""
        assert self.appliance.stop() == 0
        assert self.findings() == []

    def findings(self) -> list[dict[str, str]]:
        """Return what ``dash-appliance verify`` finds in the stopped appliance."""
        done = self.appliance.run("verify", "--json")
        found: list[dict[str, str]] = json.loads(done.stdout)["findings"]
        assert done.returncode == (1 if found else 0), done.stderr
        return found


class Disturbed:
    """strace on the running appliance, inside a ``with``: calls of the system fail as ``inject`` says.

    ``inject``: as strace's ``-e inject=`` wants it, ``fdatasync:error=EIO:when=3+5``; strace counts for each thread.
    ``paths``: only calls on these files; none: on all.
    """

    def __init__(self, pid: int, trace: Path, *inject: str, paths: tuple[Path, ...] = ()) -> None:
        self._trace = trace
        calls = ",".join(dict.fromkeys(one.partition(":")[0] for one in inject))
        only = [text for path in paths for text in ("-P", str(path))]
        injections = [text for one in inject for text in ("-e", f"inject={one}")]
        self._command = [
            "strace", "-f", "-y", "-qqq", "-o", str(trace), "-e", f"trace={calls}", *injections, *only, "-p", str(pid),
        ]  # fmt: skip
        self._pid = pid

    def __enter__(self) -> "Disturbed":
        self._trace.unlink(missing_ok=True)
        self._strace = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        until(self._attached, lambda: f"strace did not attach: {self._strace.poll()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._strace.terminate()
        _, told = self._strace.communicate(timeout=30)
        if kind is None:
            assert self.places(), f"nothing was disturbed, so this proves nothing: {told}"

    def places(self) -> list[str]:
        """Return the calls that were made to fail, as strace shows them."""
        signs = ("(INJECTED)", "+++ killed by SIGKILL +++")
        return [line for line in self._trace.read_text().splitlines() if line.endswith(signs)]

    def await_places(self, count: int = 1) -> None:
        until(lambda: len(self.places()) >= count, lambda: f"only {len(self.places())} calls were disturbed")

    def _attached(self) -> bool:
        """Whether every thread of the process is traced; or that has ended already, and ``places`` will tell."""
        if self._strace.poll() is not None:
            return True
        tasks = Path(f"/proc/{self._pid}/task")
        try:
            statuses = [(task / "status").read_text() for task in tasks.iterdir()]
        except FileNotFoundError:
            return False  # a thread that ended since: look again
        return all(f"TracerPid:\t{self._strace.pid}\n" in status for status in statuses)
