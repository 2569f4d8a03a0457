"""What is looked at before anything is changed: each with a finding, and a remedy where it stands in the way."""

import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import msgspec

from appliance.domain.finding import Examined
from appliance.domain.quantity import shown_size
from appliance.domain.upgrade import in_the_way
from appliance.release import Manifest, verify
from appliance.storage.control import schema
from appliance.upgrading.course import Data
from appliance.upgrading.releases import Releases, ordinal

SPARE_BYTES: Final = 256 << 20  # that stay free beside the release and the snapshot
DPKG_LIST: Final = Path("/var/lib/dpkg/info/dash-appliance.list")
_ROWS: Final = ("control.sqlite3", "control.sqlite3-wal")


class Wanted(msgspec.Struct, frozen=True):
    """``keys``: whose signatures count, (32,) bytes each. ``maintained_to``: the last day whose releases the licence
    covers; None: every one. ``data_copied``: somebody has made a copy of the database. ``version``: the one that was
    asked for; None: whichever the bundle holds."""

    bundle: Path
    signature: Path
    keys: Sequence[bytes]
    maintained_to: date | None = None
    data_copied: bool = False
    version: str | None = None


class Plan(msgspec.Struct, frozen=True):
    """What was found; ``manifest`` None: the bundle is not genuine. ``go``: nothing stands in the way."""

    findings: list[Examined]
    before: str
    manifest: Manifest | None = None

    @property
    def go(self) -> bool:
        return self.manifest is not None and not any(one.state == "bad" for one in self.findings)

    @property
    def in_the_way(self) -> str:
        """Return one sentence of what does."""
        return in_the_way(self.findings)


def examine(wanted: Wanted, releases: Releases, data: Data) -> Plan:
    """Look at the bundle, this machine and the data. Blocking, as long as reading the bundle takes; changes nothing.

    Raises:
        ConfigError: there is no release in use.
        NotGenuine: the bundle is not one to install.
    """
    before = releases.current
    manifest = verify(wanted.bundle, wanted.signature, wanted.keys)
    told = f"{wanted.bundle.name} is release {manifest.version}, signed by a known key"
    findings = [
        Examined("bundle", "fine", told),
        *_machine(manifest),
        *_package(releases),
        *_asked_for(manifest, wanted.version),
        *_path(before, manifest),
        *_schema(manifest, data, copied=wanted.data_copied),
        *_licence(manifest, wanted.maintained_to),
        *_room(manifest, releases, data),
        *_rights(releases, data),
    ]
    return Plan(findings, before, manifest)


def _machine(manifest: Manifest) -> Iterator[Examined]:
    here, (_, libc) = platform.machine(), platform.libc_ver()
    if manifest.machine != here:
        yield Examined(
            "machine", "bad", f"it is for {manifest.machine}, and this is {here}", "get the one for this machine"
        )
    elif ordinal(libc) < ordinal(manifest.glibc):
        told = f"it needs glibc {manifest.glibc}, and this system has {libc}"
        yield Examined("machine", "bad", told, "upgrade the operating system first")
    else:
        yield Examined("machine", "fine", f"{here}, glibc {libc} (needed: {manifest.glibc})")


def _package(releases: Releases) -> Iterator[Examined]:
    """What a package manager has put there is its to exchange: it would take away what it does not find as it was."""
    if DPKG_LIST.exists() and str(releases.home) in DPKG_LIST.read_text("utf-8"):
        told = f"the program in {releases.home} belongs to the package dash-appliance"
        yield Examined("package", "bad", told, "upgrade the package: apt install ./dash-appliance_….deb")


def _asked_for(manifest: Manifest, version: str | None) -> Iterator[Examined]:
    """Between asking and taking somebody may have put another release there."""
    if version not in (None, manifest.version):
        told = f"{version} was asked for, and {manifest.version} lies there"
        yield Examined("version", "bad", told, "look at what was uploaded, and ask again")


def _path(before: str, manifest: Manifest) -> Iterator[Examined]:
    old, new = ordinal(before), ordinal(manifest.version)
    if new == old:
        told = f"{before} is in use already"
        yield Examined(
            "version", "bad", told, "there is nothing to do; 'upgrade --resume' finishes one that was cut short"
        )
    elif new < old:
        told = f"{manifest.version} is older than {before}, which is in use"
        yield Examined("version", "bad", told, "'dash-appliance rollback' goes back to the release before")
    elif (between := _left_out(old, new)) is not None:
        told = f"from {before} to {manifest.version} leaves out {between}, and a release goes back by one minor only"
        yield Examined("version", "bad", told, f"go over to a release {between} first")
    else:
        yield Examined("version", "fine", f"from {before} to {manifest.version}")


def _left_out(old: tuple[int, ...], new: tuple[int, ...]) -> str | None:
    """Return the release that has to come before ``new``: the next minor one, or the first of the next major."""
    if new[0] == old[0]:
        return f"{old[0]}.{old[1] + 1}" if new[1] > old[1] + 1 else None
    return f"{old[0] + 1}.0" if (new[0], new[1]) != (old[0] + 1, 0) else None


def _schema(manifest: Manifest, data: Data, *, copied: bool) -> Iterator[Examined]:
    new = manifest.control_schema.lstrip("v")
    if new < schema.HEAD:
        told = f"it knows schema {new}, and the data may have {schema.HEAD}"
        yield Examined("schema", "bad", told, "take a release that is newer than the one in use")
    elif new == schema.HEAD:
        yield Examined("schema", "fine", f"the control plane keeps schema {new}")
    elif data.copies:
        yield Examined(
            "schema", "fine", f"the control plane goes from {schema.HEAD} to {new}; a snapshot is taken before"
        )
    elif copied:
        yield Examined("schema", "warning", f"the database goes from {schema.HEAD} to {new}; you have a copy of it")
    else:
        told = f"the database goes from {schema.HEAD} to {new}, and Dash cannot put a database back"
        yield Examined(
            "schema", "bad", told, "have its administrator make a copy (pg_dump), then say --database-copied"
        )


def _licence(manifest: Manifest, maintained_to: date | None) -> Iterator[Examined]:
    made = datetime.fromtimestamp(manifest.commit_time, UTC).date()
    if maintained_to is not None and made > maintained_to:
        told = f"it was made on {made}, and the licence covers releases until {maintained_to}"
        yield Examined("licence", "bad", told, "renew maintenance; the release in use runs on")
    else:
        yield Examined(
            "licence", "fine", f"made on {made}" + (f", covered until {maintained_to}" if maintained_to else "")
        )


def _room(manifest: Manifest, releases: Releases, data: Data) -> Iterator[Examined]:
    """The program and the data may be on one disk: then both have to fit on it."""
    snapshot = _snapshot_bytes(data) if data.copies else 0
    needs = {releases.home: manifest.bytes, data.data_dir: snapshot}
    if os.stat(releases.home).st_dev == os.stat(data.data_dir).st_dev:
        needs = {releases.home: manifest.bytes + snapshot}
    for place, size in needs.items():
        free = shutil.disk_usage(place).free
        told = f"{shown_size(size)} are needed at {place}, {shown_size(free)} are free"
        if free < size + SPARE_BYTES:
            yield Examined("room", "bad", told, f"make room: {shown_size(SPARE_BYTES)} have to stay free")
        else:
            yield Examined("room", "fine", told)


def _snapshot_bytes(data: Data) -> int:
    files = [data.data_dir / name for name in _ROWS] + sorted((data.data_dir / "silver").glob("*.duckdb*"))
    return sum(path.stat().st_size for path in files if path.is_file())


def _rights(releases: Releases, data: Data) -> Iterator[Examined]:
    if not os.access(releases.home, os.W_OK) or os.getuid() not in (0, data.user):
        told = f"uid {os.getuid()} may not exchange what is in {releases.home}, or act as uid {data.user}"
        yield Examined("rights", "bad", told, "run it as root: sudo dash-appliance upgrade …")
