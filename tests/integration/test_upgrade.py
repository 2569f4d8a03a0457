"""Upgrades under live load: one that is well, one that is not and goes back by itself, and back by hand.

Releases here are the checkout under other version numbers, signed by a key of the test's; one of them spoils the data
before it says that it is not well.
"""

import hashlib
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from appliance.cli.data_dir import owner
from appliance.storage.control.schema import HEAD
from tests.running import REPOSITORY, RunningAppliance, at_work, free_port, standard_headers, until

MAPPING: dict[str, Any] = {"fields": [{"name": "n", "path": "$.n", "type": "integer", "required": True}]}
BOOT = """import sys
sys.path.insert(0, {checkout!r})
import appliance
appliance.__version__ = {version!r}
from pathlib import Path
import appliance.release
sys.modules["appliance.release.verify"].SIGNERS = Path({signers!r})
{more}
from appliance.__main__ import main
sys.exit(main())
"""
SPOILS = """if "serve" in sys.argv:
    import sqlite3
    from appliance.storage.control import schema
    from appliance.vitals import Vitals
    file = Path(sys.argv[sys.argv.index("--data-dir") + 1]) / "control.sqlite3"
    with sqlite3.connect(file) as control:
        control.execute("UPDATE alembic_version SET version_num = '0099'")
        control.execute("UPDATE organisation SET name = 'spoilt'")
    control.close()
    schema.HEAD, schema.KNOWN = "0099", (*schema.KNOWN, "0099")
    import os, threading
    def broken(self):
        threading.Timer(3, os._exit, (9,)).start()  # it takes events for a while
        print("this release is broken", file=sys.stderr, flush=True)
        return False, "this release is broken"
    Vitals._refining = broken
"""


class Vendor(NamedTuple):
    """Who makes releases."""

    folder: Path

    @property
    def signers(self) -> Path:
        return self.folder / "signers"

    def files(self, version: str, more: str) -> dict[str, bytes]:
        boot = BOOT.format(checkout=str(REPOSITORY), version=version, signers=str(self.signers), more=more)
        script = f'#!/bin/sh\nexec {sys.executable} "$(dirname "$(readlink -f "$0")")/boot.py" "$@"\n'
        return {"dash-appliance": script.encode(), "boot.py": boot.encode()}

    def release(self, version: str, more: str = "", schema: str = "9999") -> Path:
        """Return a signed bundle."""
        files = self.files(version, more)
        entries = [
            {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "runs": "." not in path}
            for path, content in files.items()
        ]
        told = {
            "format": 1, "version": version, "machine": os.uname().machine, "glibc": "2.17", "python": "3.11.0",
            "commit_time": 1_700_000_000, "control_schema": schema, "files": entries,
        }  # fmt: skip
        bundle = self.folder / f"dash-appliance-{version}.tar.xz"
        with tarfile.open(bundle, "w:xz", preset=0) as archive:
            for name, content in {"release.json": json.dumps(told).encode(), **files}.items():
                info = tarfile.TarInfo(f"dash-appliance/{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        subprocess.run(
            ["ssh-keygen", "-q", "-Y", "sign", "-n", "dash-release", "-f", self.folder / "key", bundle], check=True
        )
        return bundle


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    made = Vendor(tmp_path_factory.mktemp("vendor"))
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", made.folder / "key"], check=True)
    public = (made.folder / "key.pub").read_text()
    made.signers.write_text(f'dash-appliance namespaces="dash-release" {public}')
    return made


class Installed:
    """Dash as install.sh lays it out, and its data directory; ``one`` speaks to it."""

    def __init__(self, folder: Path, vendor: Vendor) -> None:
        self.home, self.data_dir, self._port = folder / "opt", folder / "data", free_port()
        first = self.home / "releases" / "1.0.0"
        first.mkdir(parents=True)
        with tarfile.open(vendor.release("1.0.0", schema=HEAD)) as archive:
            for member in archive.getmembers():
                path = first / member.name.removeprefix("dash-appliance/")
                path.write_bytes(archive.extractfile(member).read())  # type: ignore[union-attr]
                path.chmod(0o755)
        (self.home / "current").symlink_to("releases/1.0.0")
        self.program = str(self.home / "current" / "dash-appliance")
        self.one = RunningAppliance(folder, program=(self.program,))
        self.one.setup()
        self.one.url = f"http://127.0.0.1:{self._port}"
        with (folder / "log").open("ab") as log:
            self._first = subprocess.Popen(
                [self.program, "serve", "--port", str(self._port), "--data-dir", str(self.data_dir)],
                stdout=subprocess.DEVNULL, stderr=log, env=self.one.environment,
            )  # fmt: skip
        until(self.answers, 60)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.one.url}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    @property
    def version(self) -> str:
        lines = httpx.get(f"{self.one.url}/metrics", trust_env=False).text.splitlines()
        return next(line.split('"')[1] for line in lines if line.startswith("dash_build_info{"))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.one.run(*words, "--program", str(self.home), "--health-timeout", "90")

    def stop(self) -> None:
        if pid := owner(self.data_dir):
            os.kill(pid, signal.SIGTERM)
            until(lambda: owner(self.data_dir) is None, 30)
        self._first.wait(timeout=30)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, vendor: Vendor) -> Iterator[Installed]:
    made = Installed(tmp_path_factory.mktemp("installed"), vendor)
    yield made
    made.stop()


class Sender(threading.Thread):
    """Sends one number after the other, each until it is acknowledged, as senders must."""

    def __init__(self, url: str, secret: str, first: int, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self._url, self._secret, self._ended = url, secret, ended
        self.number = self._first = first

    def run(self) -> None:
        with httpx.Client(timeout=5, trust_env=False) as client:
            while not self._ended.wait(0.02):
                body = json.dumps({"n": self.number}).encode()
                headers = standard_headers(self._secret, f"msg_{self.number}", body)
                try:
                    if client.post(self._url, content=body, headers=headers).status_code in (200, 202):
                        self.number += 1
                except httpx.TransportError:
                    continue


def test_upgrades_back_and_forth_under_load_lose_nothing(installed: Installed, vendor: Vendor) -> None:
    one = installed.one
    pipeline_id, secret = one.create_pipeline("numbers", MAPPING)
    ended = threading.Event()
    sender = Sender(f"{one.url}/in/{pipeline_id}", secret, 0, ended)
    with at_work([sender], ended):
        until(lambda: sender.number > 20)
        broken = installed.run("upgrade", str(vendor.release("1.1.0", SPOILS)))
        assert broken.returncode == 1, broken.stdout + broken.stderr
        assert "went back to 1.0.0" in broken.stderr
        assert "this release is broken" in broken.stderr
        assert (installed.version, installed.answers()) == ("1.0.0", True)
        with one.client() as client:
            assert client.get("/api/v1/organisations").json()["items"][0]["name"] != "spoilt"

        before = sender.number
        until(lambda: sender.number > before + 5)
        good = installed.run("upgrade", str(vendor.release("1.1.1", schema=HEAD)))
        assert good.returncode == 0, good.stdout + good.stderr
        assert installed.version == "1.1.1"

        back = installed.run("rollback", "--yes", "--to", "1.0.0")
        assert back.returncode == 0, back.stdout + back.stderr
        assert installed.version == "1.0.0"
        before = sender.number
        until(lambda: sender.number > before + 5)
    ledger = one.wait_refined(pipeline_id)
    with one.client() as client:
        lines = client.get(
            f"/api/v1/pipelines/{pipeline_id}/records",
            params={"limit": 100_000}, headers={"accept": "application/x-ndjson"},
        ).text  # fmt: skip
    numbers = sorted(json.loads(line)["n"] for line in lines.splitlines())
    assert numbers in (list(range(sender.number)), list(range(sender.number + 1)))  # the last one nobody waited for
    assert ledger["stored"] == ledger["received"] == len(numbers)
    assert not (installed.home / "upgrade.json").exists()


def test_what_stands_in_the_way_is_said_and_nothing_is_changed(installed: Installed, vendor: Vendor) -> None:
    version, pid = installed.version, owner(installed.data_dir)
    older = installed.run("upgrade", str(vendor.release("0.9.0")), "--json")
    assert older.returncode == 1
    findings = {one["about"]: one for one in json.loads(older.stdout)["findings"]}
    assert findings["version"]["remedy"] == "'dash-appliance rollback' goes back to the release before"
    dry = installed.run("upgrade", str(vendor.release("1.1.2")), "--dry-run")
    assert (dry.returncode, "from" in dry.stdout) == (0, True)
    assert "1.1.2" not in os.listdir(installed.home / "releases")

    bundle = vendor.release("1.1.4")
    bundle.write_bytes(bundle.read_bytes()[:-1] + b"?")
    forged = installed.run("upgrade", str(bundle))
    assert (forged.returncode, "it is not the file that was signed" in forged.stderr) == (1, True)
    broken = installed.run("upgrade", str(vendor.release("1.1.5", "raise SystemExit('error: no such library')")))
    assert (broken.returncode, "does not run here" in broken.stderr) == (1, True)
    assert installed.run("rollback", "--to", "0.1.0", "--yes").returncode == 1
    assert (installed.version, owner(installed.data_dir)) == (version, pid)


@pytest.mark.slow
def test_an_upgrade_that_is_killed_is_undone_by_the_next(installed: Installed, vendor: Vendor) -> None:
    bundle = vendor.release("1.1.6", SPOILS)
    with subprocess.Popen(
        [installed.program, "upgrade", str(bundle), "--program", str(installed.home), "--data-dir",
         str(installed.data_dir)],
        stdout=subprocess.PIPE, text=True,
    ) as upgrading:  # fmt: skip
        assert upgrading.stdout is not None
        until(lambda: upgrading.stdout.readline().startswith("health"), 60)  # type: ignore[union-attr]
        upgrading.kill()
    refused = installed.run("upgrade", str(bundle))
    assert (refused.returncode, "--resume" in refused.stderr) == (1, True)
    resumed = installed.run("upgrade", "--resume")
    assert (resumed.returncode, "it was cut short" in resumed.stderr) == (1, True)
    with sqlite3.connect(installed.data_dir / "control.sqlite3") as control:
        assert control.execute("SELECT name FROM organisation").fetchall() != [("spoilt",)]
    control.close()
    assert os.readlink(installed.home / "current") == "releases/1.0.0"
    again = installed.run("upgrade", "--resume")
    assert (again.returncode, again.stdout) == (0, "no upgrade was cut short\n")
