"""Who sends all the time and keeps count, and releases that are made of another: for the trial of upgrades."""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import httpx

from tests.running import standard_headers

# Takes events for three seconds, then dies: never well for as long as it would have to be.
_BROKEN: Final = """#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
if [ "$1" = serve ]; then
    (
        until grep -q ':1F90 [0-9A-F:]* 0A ' /proc/net/tcp; do sleep 0.2; done
        sleep 3
        echo 'this release is broken' >&2
        kill -9 $$
    ) &
fi
exec "$here/dash-appliance.real" "$@"
"""


class Senders:
    """Each sends one number after the other, signed, and the same again until it is acknowledged."""

    def __init__(self, url: str, secret: str, count: int = 3) -> None:
        self._url, self._secret = url, secret
        self._going, self._ended, self._lock = threading.Event(), threading.Event(), threading.Lock()
        self.acknowledged: list[int] = []
        self.moments: list[float] = []
        self._resting = threading.Semaphore(0)
        self._threads = [threading.Thread(target=self._send, args=(one, count), daemon=True) for one in range(count)]

    def start(self) -> None:
        self._going.set()
        for thread in self._threads:
            thread.start()

    def rest(self) -> None:
        """Return when everything that was sent is acknowledged, and nothing more is sent."""
        self._going.clear()
        for _ in self._threads:
            if not self._resting.acquire(timeout=120):
                raise RuntimeError("what was sent is not acknowledged within two minutes")

    def go_on(self) -> None:
        self._going.set()

    def end(self) -> None:
        self._ended.set()
        self._going.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def away(self, since: float) -> float:
        """Return the longest time without an acknowledgement since that moment (of ``time.monotonic``)."""
        with self._lock:
            moments = [since, *(one for one in self.moments if one >= since)]
        return max((after - before for before, after in pairwise(moments)), default=0.0)

    def between(self, begin: float, end: float) -> int:
        with self._lock:
            return sum(begin <= one <= end for one in self.moments)

    def _send(self, number: int, step: int) -> None:
        with httpx.Client(timeout=5, trust_env=False) as client:
            while not self._ended.wait(0.04):
                if not self._going.is_set():
                    self._resting.release()
                    self._going.wait()
                    continue
                self._until_taken(client, number)
                number += step

    def _until_taken(self, client: httpx.Client, number: int) -> None:
        body = json.dumps({"n": number}).encode()
        while not self._ended.is_set():
            headers = standard_headers(self._secret, f"msg_{number}", body)
            try:
                taken = client.post(self._url, content=body, headers=headers).status_code in (200, 202)
            except httpx.TransportError:
                taken = False
            if taken:
                with self._lock:
                    self.acknowledged.append(number)
                    self.moments.append(time.monotonic())
                return
            self._ended.wait(0.05)


def signed(bundle: Path, key: Path) -> Path:
    bundle.with_name(f"{bundle.name}.sig").unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "dash-release", "-f", str(key), str(bundle)]
    subprocess.run(command, check=True, capture_output=True)
    return bundle


def broken(program: Path, into: Path, key: Path) -> Path:
    """Return a signed bundle of the release in the folder ``program`` that fails after it has taken events."""
    folder = into / "dash-appliance"
    shutil.copytree(program, folder, symlinks=True, copy_function=_linked)
    (folder / "dash-appliance").rename(folder / "dash-appliance.real")
    script = folder / "dash-appliance"
    script.write_text(_BROKEN)
    script.chmod(0o755)
    told = json.loads((program / "release.json").read_text())
    for entry in told["files"]:
        if entry["path"] == "dash-appliance":
            entry["path"] = "dash-appliance.real"
    digest = hashlib.sha256(_BROKEN.encode()).hexdigest()
    told["files"].append({"path": "dash-appliance", "size": len(_BROKEN), "sha256": digest, "runs": True})
    (folder / "release.json").unlink()
    (folder / "release.json").write_text(json.dumps(told))
    return signed(_packed(folder, into / "broken.tar.xz"), key)


def _packed(folder: Path, bundle: Path) -> Path:
    """Pack it as build.py does, the manifest first, only quicker."""
    first = folder / "release.json"
    with (
        bundle.open("wb") as out,
        subprocess.Popen(["xz", "-0", "-T2", "-c"], stdin=subprocess.PIPE, stdout=out) as compressor,
        tarfile.open(fileobj=compressor.stdin, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in [first, *(one for one in sorted(folder.rglob("*")) if one != first and not one.is_dir())]:
            archive.add(path, str(path.relative_to(folder.parent)), recursive=False)
    return bundle


def _linked(source: str, target: str) -> None:
    """Without a copy of a quarter of a gigabyte, where both lie on one disk."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def only_said(told: dict[str, Any], into: Path, key: Path, **changed: Any) -> Path:
    """Return a signed bundle that says what a release would, and holds nothing: for looking at it."""
    content = json.dumps(told | changed).encode()
    bundle = into / f"said-{hashlib.sha256(content).hexdigest()[:8]}.tar.xz"
    with tarfile.open(bundle, "w:xz", preset=0) as archive:
        info = tarfile.TarInfo("dash-appliance/release.json")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return signed(bundle, key)
