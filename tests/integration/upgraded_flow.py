"""Upgrades by two real releases under a real systemd, while senders keep count; prints what was seen as JSON.

    python -m tests.integration.upgraded_flow RELEASES FOLDER

RELEASES: as two_releases.py makes them. In a network of its own, made by test_upgraded_under_systemd.py.
"""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import httpx

from tests.integration.machine import Machine, debootstrapped
from tests.integration.two_sides import Senders, broken, only_said, signed
from tests.licensed import issued

RELEASES, FOLDER = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
KEY = RELEASES / "key"
URL = "http://127.0.0.1:8080"
HOME = "/opt/dash-appliance"
MAPPING = {"fields": [{"name": "n", "path": "$.n", "type": "integer", "required": True}]}
seen: dict[str, Any] = {}


def dist(which: str, ending: str) -> Path:
    (found,) = (RELEASES / which / "dist").glob(f"dash-appliance-*-linux-*{ending}")
    return found


def manifest_of(which: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((RELEASES / which / "dist/dash-appliance/release.json").read_text())
    return told


BEFORE, AFTER = manifest_of("before")["version"], manifest_of("after")["version"]


class Trial:
    """One machine with Dash on it, and those who send to it."""

    def __init__(self) -> None:
        self.machine = Machine(debootstrapped(FOLDER / "tree", os.environ.get("SUITE", "trixie")))
        self.srv = self.machine.tree / "srv"
        self.token, self.pipeline = "", ""
        self.senders: Senders | None = None

    # --- asking ---

    def client(self) -> httpx.Client:
        headers = {"authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=URL, headers=headers, timeout=60, trust_env=False)

    def api(self, path: str) -> Any:
        with self.client() as client:
            return client.get(f"/api/v1{path}").raise_for_status().json()

    def dash(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command as an administrator does."""
        return self.machine.run("sudo", "dash-appliance", *words)

    def state(self) -> dict[str, Any]:
        """Return what is in use, what answers, and whether something is under way."""
        metrics = httpx.get(f"{URL}/metrics", trust_env=False).text
        answers = re.search(r'^dash_build_info\{version="([^"]*)"', metrics, re.MULTILINE)
        return {
            "current": os.readlink(self.machine.tree / HOME[1:] / "current"),
            "answers": answers[1] if answers else None,
            "under_way": (self.machine.tree / HOME[1:] / "upgrade.json").exists(),
        }

    def balance(self) -> dict[str, Any]:
        """Have the senders rest, and compare what was acknowledged with what is there."""
        senders = self.sending
        senders.rest()
        until(lambda: self.api(f"/pipelines/{self.pipeline}/ledger")["pending"] == 0, 60)
        with self.client() as client:
            lines = client.get(
                f"/api/v1/pipelines/{self.pipeline}/records",
                params={"limit": 100_000}, headers={"accept": "application/x-ndjson"},
            ).text  # fmt: skip
        rows = sorted(json.loads(line)["n"] for line in lines.splitlines())
        acknowledged = sorted(senders.acknowledged)
        ledger = self.api(f"/pipelines/{self.pipeline}/ledger")
        senders.go_on()
        return {
            "acknowledged": len(acknowledged), "rows": len(rows), "same": rows == acknowledged,
            "received": ledger["received"], "stored": ledger["stored"], **self.state(),
        }  # fmt: skip

    @property
    def sending(self) -> Senders:
        if self.senders is None:
            raise RuntimeError("nobody sends yet")
        return self.senders

    # --- doing ---

    def told(self, act: Callable[[], "subprocess.CompletedProcess[str]"]) -> dict[str, Any]:
        """Do something while senders send; return how it went, and how long nothing was acknowledged."""
        since = time.monotonic()
        answer = act()
        took = time.monotonic() - since
        until(lambda: self.sending.between(since + took, time.monotonic()) > 3, 60)
        return {
            "code": answer.returncode, "out": answer.stdout, "err": answer.stderr, "took": round(took, 1),
            "away": round(self.sending.away(since), 1), **self.balance(),
        }  # fmt: skip

    def rebooted(self, cut: bool = False) -> dict[str, Any]:
        """Restart the machine, or cut its power; return the state that it comes up in."""
        since = time.monotonic()
        if cut:
            self.machine.power_cut()
            self.machine.boot()
        else:
            self.machine.reboot()
        until(self.well, 240)
        until(lambda: self.machine.run("systemctl", "is-system-running").stdout.strip() == "running", 240)
        until(self.well, 60)
        return {"away": round(self.sending.away(since), 1), **self.balance()}

    def well(self) -> bool:
        try:
            return httpx.get(f"{URL}/readyz", trust_env=False, timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def killed(self, bundle: str, step: str, how: signal.Signals) -> dict[str, Any]:
        """Begin an upgrade and end its process when it says that it begins with ``step``."""
        begun = self.machine.begin("sudo", "dash-appliance", "upgrade", bundle, "--health-timeout", "60")
        lines: list[str] = []
        if begun.stdout is None:
            raise RuntimeError("it has no output")
        for line in begun.stdout:
            lines.append(line)
            if line.startswith(step):
                for pid in self.machine.pids("dash-appliance upgrade"):
                    if not Path(os.readlink(f"/proc/{pid}/exe")).name.startswith("sudo"):
                        os.kill(pid, how)
                break
        rest = begun.stdout.read()
        return {"code": begun.wait(), "out": "".join(lines) + rest}


def until(holds: Callable[[], bool], secs: float) -> None:
    deadline = time.monotonic() + secs
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"it did not come about within {secs} s: {holds}")
        time.sleep(0.1)


def installed(it: Trial) -> None:
    """Install the first release by its .run file, make the administrator and a pipeline, and begin to send."""
    seen["boot"] = it.machine.boot()
    shutil.copy(dist("before", ".run"), it.srv / "dash.run")
    for which in ("before", "after"):
        shutil.copy(dist(which, ".tar.xz"), it.srv / f"{which}.tar.xz")
        shutil.copy(dist(which, ".tar.xz.sig"), it.srv / f"{which}.tar.xz.sig")
    made = broken(RELEASES / "after/dist/dash-appliance", FOLDER, KEY)
    shutil.copy(made, it.srv / "broken.tar.xz")
    shutil.copy(f"{made}.sig", it.srv / "broken.tar.xz.sig")
    began = time.monotonic()
    done = it.machine.run("sudo", "/srv/dash.run", "--install")
    seen["installed"] = {"code": done.returncode, "out": done.stdout, "err": done.stderr}
    until(it.well, 60)
    seen["secs_to_ready"] = round(time.monotonic() - began, 1)
    (it.srv / "password").write_text("correct horse battery staple\n")
    (it.srv / "password").chmod(0o644)
    it.machine.run("systemctl", "stop", "dash-appliance")
    setup = ("setup", "--admin-email", "ada@example.org", "--admin-password-file", "/srv/password", "--print-token")
    done = it.machine.run("sudo", "-u", "dash-appliance", "dash-appliance", *setup)
    it.machine.run("systemctl", "start", "dash-appliance")
    until(it.well, 60)
    seen["setup"] = {"code": done.returncode, "err": done.stderr}
    it.token = done.stdout.strip()
    document = {"name": "numbers", "source": {"type": "webhook"}, "mapping": MAPPING}
    with it.client() as client:
        body = client.post("/api/v1/pipelines", json=document).raise_for_status().json()
    it.pipeline = body["id"]
    it.senders = Senders(f"{URL}/in/{it.pipeline}", body["secret"])
    it.senders.start()
    until(lambda: len(it.sending.acknowledged) > 30, 60)


def refused(it: Trial) -> None:
    """Whatever stands in the way is said, and nothing is touched."""
    told, before = manifest_of("after"), untouched(it)
    (it.srv / "other").write_bytes((it.srv / "after.tar.xz").read_bytes()[:-1] + b"?")
    shutil.copy(it.srv / "after.tar.xz.sig", it.srv / "other.sig")
    seen["forged"] = plain(it.dash("upgrade", "/srv/other"))
    (it.srv / "other").unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(FOLDER / "stranger")], check=True)
    foreign = signed(shutil.copy(it.srv / "after.tar.xz", FOLDER / "foreign.tar.xz"), FOLDER / "stranger")
    seen["foreign"] = plain(upgrade(it, foreign))
    foreign.unlink()
    major, minor, _ = BEFORE.split(".")
    skipping = only_said(told, FOLDER, KEY, version=f"{major}.{int(minor) + 2}.0")
    seen["skipping"] = plain(upgrade(it, skipping))
    seen["older"] = plain(upgrade(it, only_said(told, FOLDER, KEY, version="0.0.9")))
    full_disk(it)
    with it.client() as client:
        over = issued(maintenance_to=date(2021, 1, 1))
        client.put("/api/v1/license", json={"document": over}).raise_for_status()
        seen["unlicensed"] = plain(it.dash("upgrade", "/srv/after.tar.xz"))
        staged = uploaded(client, it.srv / "after.tar.xz")
        asked = client.post("/api/v1/upgrade")
        seen["unlicensed_uploaded"] = {"staged": staged, "code": asked.status_code, "told": asked.json()["detail"]}
        client.delete("/api/v1/upgrade").raise_for_status()
        client.put("/api/v1/license", json={"document": issued()}).raise_for_status()
    seen["untouched"] = untouched(it) == before
    seen["dry_run"] = plain(it.dash("upgrade", "/srv/after.tar.xz", "--dry-run"))
    seen["dry_run_untouched"] = untouched(it) == before


def full_disk(it: Trial) -> None:
    """The program on a disk of its own that has no room for another release."""
    small = f"cp -a {HOME} /mnt/small && mount -t tmpfs -o size=400m,mode=755 tmpfs {HOME} && cp -a /mnt/small/. {HOME}"
    seen["full_made"] = plain(it.machine.run("sh", "-c", small))
    seen["full"] = plain(it.dash("upgrade", "/srv/after.tar.xz"))
    it.machine.run("sh", "-c", f"umount -l {HOME}; rm -rf /mnt/small")


def upgrade(it: Trial, bundle: Path) -> "subprocess.CompletedProcess[str]":
    for name in (bundle, Path(f"{bundle}.sig")):
        shutil.copy(name, it.srv / f"tried{'.sig' if name.suffix == '.sig' else ''}")
    return it.dash("upgrade", "/srv/tried")


def plain(answer: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    return {"code": answer.returncode, "out": answer.stdout, "err": answer.stderr}


def untouched(it: Trial) -> Any:
    """Return what an upgrade would have changed: the releases, the link, and the process that serves."""
    home = it.machine.tree / HOME[1:]
    pid = it.machine.run("systemctl", "show", "-P", "MainPID", "dash-appliance").stdout.strip()
    snapshots = sorted(str(one) for one in (it.machine.tree / "var/lib/dash-appliance/snapshots").glob("*"))
    return pid, os.readlink(home / "current"), sorted(os.listdir(home / "releases")), snapshots


def uploaded(client: httpx.Client, bundle: Path) -> Any:
    with bundle.open("rb") as content:
        client.put("/api/v1/upgrade/bundle", content=content).raise_for_status()
    signature = Path(f"{bundle}.sig").read_bytes()
    return client.put("/api/v1/upgrade/signature", content=signature).raise_for_status().json()["staged"]


def by_upload(it: Trial, bundle: Path) -> "subprocess.CompletedProcess[str]":
    """Upload it, ask for it, and return when the unit of root's has ended."""
    with it.client() as client:
        staged = uploaded(client, bundle)
        client.post("/api/v1/upgrade").raise_for_status()
    unit = "dash-appliance-upgrade.service"
    ran = "ExecMainExitTimestampMonotonic"
    before = it.machine.run("systemctl", "show", "-P", ran, unit).stdout
    until(lambda: it.machine.run("systemctl", "show", "-P", "ActiveState", unit).stdout.strip() == "activating", 30)
    until(lambda: it.machine.run("systemctl", "show", "-P", "ActiveState", unit).stdout.strip() != "activating", 300)
    told = it.machine.run("systemctl", "show", "-P", "ExecMainStatus", unit).stdout.strip()
    log = it.machine.run("journalctl", "-t", "dash-appliance-upgrade", "-n", "40", "-o", "cat", "--no-pager").stdout
    fired = it.machine.run("systemctl", "show", "-P", ran, unit).stdout != before
    return subprocess.CompletedProcess([], int(told) if fired else 99, f"{staged}\n{log}", "")


def broken_one(it: Trial) -> "subprocess.CompletedProcess[str]":
    """Count what is acknowledged while the broken release runs."""
    begun = it.machine.begin("sudo", "dash-appliance", "upgrade", "/srv/broken.tar.xz")
    if begun.stdout is None:
        raise RuntimeError("it has no output")
    lines, started = [], 0.0
    for line in begun.stdout:
        lines.append(line)
        if line.startswith("health"):
            started = time.monotonic()
        if line.startswith("back"):
            seen["taken_by_the_broken_one"] = it.sending.between(started, time.monotonic())
    said = "".join(lines)
    return subprocess.CompletedProcess([], begun.wait(), said, said)


def schema(it: Trial) -> str:
    """Return the revision of the control plane, as the file says it."""
    with closing(sqlite3.connect(it.machine.tree / "var/lib/dash-appliance/control.sqlite3")) as control:
        (found,) = control.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found)


def there_and_back(it: Trial) -> None:
    seen["broken"] = it.told(lambda: broken_one(it))
    seen["broken_last"] = it.api("/upgrade")["last"]
    seen["broken_rebooted"] = it.rebooted()
    seen["good"] = it.told(lambda: it.dash("upgrade", "/srv/after.tar.xz"))
    seen["good_schema"] = schema(it)
    seen["good_rebooted"] = it.rebooted()
    seen["no_snapshot"] = plain(it.dash("rollback", "--yes"))
    snapshot = it.api("/upgrade")["last"]["snapshot"]
    seen["back"] = it.told(lambda: it.dash("rollback", "--yes", "--snapshot", snapshot))
    seen["back_last"] = it.api("/upgrade")["last"]
    seen["back_schema"] = schema(it)
    seen["back_rebooted"] = it.rebooted()


def from_the_screen(it: Trial) -> None:
    seen["uploaded_broken"] = it.told(lambda: by_upload(it, it.srv / "broken.tar.xz"))
    seen["uploaded_broken_last"] = it.api("/upgrade")["last"]
    seen["uploaded"] = it.told(lambda: by_upload(it, it.srv / "after.tar.xz"))
    found = it.api("/upgrade")
    seen["uploaded_last"], seen["uploaded_left"] = found["last"], found["staged"]
    snapshot = found["last"]["snapshot"]
    seen["uploaded_back"] = it.told(lambda: it.dash("rollback", "--yes", "--snapshot", snapshot))


def cut_short(it: Trial) -> None:
    """Killed at three places; then told to end; then the power goes; then the helper of root's is killed."""
    for step in ("snapshot", "switch", "health"):
        seen[f"killed_{step}"] = it.killed("/srv/broken.tar.xz", step, signal.SIGKILL)
        seen[f"again_{step}"] = plain(it.dash("upgrade", "/srv/after.tar.xz"))
        seen[f"resumed_{step}"] = it.told(lambda: it.dash("upgrade", "--resume", "--health-timeout", "60"))
    seen["terminated"] = it.killed("/srv/after.tar.xz", "health", signal.SIGTERM)
    seen["terminated_after"] = it.balance()
    seen["hung_up"] = it.killed("/srv/after.tar.xz", "snapshot", signal.SIGHUP)
    seen["hung_up_after"] = it.balance()
    snapshot = it.api("/upgrade")["last"]["snapshot"]
    seen["hung_up_back"] = plain(it.dash("rollback", "--yes", "--snapshot", snapshot))
    seen["powerless"] = it.killed("/srv/after.tar.xz", "health", signal.SIGKILL)
    seen["powerless_rebooted"] = it.rebooted(cut=True)
    with it.client() as client:
        uploaded(client, it.srv / "after.tar.xz")
        client.post("/api/v1/upgrade").raise_for_status()
    note = it.machine.tree / HOME[1:] / "upgrade.json"
    until(lambda: note.exists() and json.loads(note.read_text())["step"] == "switch", 120)
    for pid in it.machine.pids("dash-appliance upgrade --ordered"):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not note.exists() and it.well(), 240)
    seen["helper_killed"] = it.balance()
    seen["helper_killed_last"] = it.api("/upgrade")["last"]


def ended(it: Trial) -> None:
    it.sending.rest()
    it.machine.run("systemctl", "stop", "dash-appliance")
    seen["verified"] = plain(it.machine.run("sudo", "-u", "dash-appliance", "dash-appliance", "verify"))
    found = it.machine.run("find", "/var/lib/dash-appliance", "-printf", "%u\\n").stdout.split()
    seen["owners"] = sorted(set(found))
    seen["acknowledged"] = len(it.sending.acknowledged)
    it.sending.end()


def main() -> None:
    it, began = Trial(), time.monotonic()
    seen["versions"] = {"before": BEFORE, "after": AFTER}
    try:
        for step in (installed, refused, there_and_back, from_the_screen, cut_short, ended):
            at = time.monotonic()
            step(it)
            print(f"{step.__name__}: {time.monotonic() - at:.0f} s", file=sys.stderr, flush=True)
    except BaseException:
        print(json.dumps(seen, indent=1), file=sys.stderr)
        print(it.machine.run("journalctl", "-n", "80", "--no-pager").stdout, file=sys.stderr)
        raise
    finally:
        it.machine.end()
    seen["secs"] = round(time.monotonic() - began)
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
