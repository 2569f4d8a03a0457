"""A support bundle: what somebody elsewhere needs to understand this node, without secrets, events or people.

Everything in it is text, shown word for word before it is saved.
"""

import asyncio
import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec
from sqlalchemy.orm import Session

from appliance import __version__
from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.incident import Incident
from appliance.observe.log_book import LogBook
from appliance.observe.machine import about_machine
from appliance.observe.masking import cleaned, unpeopled
from appliance.services.ports import Engine
from appliance.storage.control import job_book
from appliance.storage.control import nodes as registry
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.job_book import JobFilter, StoredJob
from appliance.storage.control.plane import ControlPlane

JOBS: Final = 200
_LINES: Final = msgspec.json.Encoder(order="deterministic")


class BundleFile(msgspec.Struct, frozen=True):
    name: str
    size: int
    text: str


class Preview(msgspec.Struct, frozen=True):
    """What would be saved, and under which name."""

    name: str
    files: list[BundleFile]


class Watch(Protocol):
    """Who knows how this node is doing. ``readiness`` and ``exposition``: as /readyz and /metrics answer."""

    @property
    def book(self) -> LogBook: ...
    @property
    def incidents(self) -> tuple[Incident, ...]: ...
    @property
    def readiness(self) -> Callable[[], Mapping[str, tuple[bool, str]]]: ...
    @property
    def exposition(self) -> Callable[[], bytes]: ...


class Support:
    """``settings``: those in force, as they may be shown."""

    def __init__(
        self, plane: ControlPlane, engine: Engine, watch: Watch, settings: Mapping[str, Any], clock: Clock = utc_now
    ) -> None:
        self._plane, self._engine, self._watch, self._settings, self._clock = plane, engine, watch, settings, clock

    async def preview(self, who: Principal) -> Preview:
        """Return every file of a bundle of this moment."""
        require(who, Action.OPERATIONS_READ)
        now = self._clock()
        files = {
            **about(now, self._settings),
            "readiness.json": pretty({name: list(one) for name, one in self._watch.readiness().items()}),
            "metrics.txt": self._watch.exposition().decode(),
            "incidents.json": pretty(self._watch.incidents),
            "failures.json": pretty(self._watch.book.failures()),
            "log.jsonl": "".join(
                _LINES.encode(one).decode() + "\n" for one in reversed(list(self._watch.book.lines()))
            ),
            "pipelines.json": pretty(self._pipelines()),
            **await self._plane.read(lambda tx: self._in_control(tx, who)),
        }
        shown = await asyncio.to_thread(redacted, files)
        return Preview(name_of(now), [BundleFile(name, len(text), text) for name, text in shown.items()])

    async def bundle(self, who: Principal) -> tuple[str, bytes]:
        """Return the name and the bytes of a bundle of this moment; the trail tells who took it."""
        found = await self.preview(who)
        deed = Deed(
            organisation_id=who.organisation_id, who=who.name, action="support.bundle", target=found.name,
            detail={"files": len(found.files)},
        )  # fmt: skip
        await self._plane.write(lambda tx: record(tx, deed, self._clock()))
        return found.name, packed({one.name: one.text for one in found.files})

    def _pipelines(self) -> list[dict[str, Any]]:
        """Return pipelines without their names and mappings: those may say what a business does."""
        found = []
        for pipeline_id in sorted(self._engine.running_ids()):
            one = self._engine.pipeline(pipeline_id)
            if one is None:
                continue
            document = one.document
            found.append(
                {
                    "id": one.id, "version": one.version, "state": self._engine.state(one.id, one.state).value,
                    "source": document.source.get("type"), "fields": len(document.mapping.fields),
                    "keyed": bool(document.mapping.key), "stats": self._engine.stats(one.id),
                }
            )  # fmt: skip
        return found

    def _in_control(self, tx: Session, who: Principal) -> dict[str, str]:
        jobs = job_book.page(tx, who.organisation_id, JobFilter(), JOBS, installation=True)
        return {
            "jobs.json": pretty([_job(one) for one in jobs]),
            "nodes.json": pretty(list(registry.all_nodes(tx, self._clock))),
        }


def about(now: datetime, settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the files that need no running appliance."""
    told = {"dash": __version__, "at": now, **about_machine()}
    return {"about.json": pretty(told), "settings.json": pretty(dict(settings))}


def pretty(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


def name_of(now: datetime) -> str:
    return f"dash-support-{now:%Y%m%d-%H%M%S}.zip"


def redacted(files: Mapping[str, str]) -> dict[str, str]:
    """Return the files without secrets and addresses of people, whoever put them there."""
    return {name: unpeopled(cleaned(text)) for name, text in files.items()}


def packed(files: Mapping[str, str]) -> bytes:
    """Return a zip of them, with their digests in ``manifest.json``."""
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**files, "manifest.json": pretty(digests)}.items():
            archive.writestr(name, text)
    return out.getvalue()


def _job(one: StoredJob) -> dict[str, Any]:
    return {
        "kind": one.kind, "state": one.state, "attempt": one.attempt, "error": one.error,
        "created_at": one.created_at, "finished_at": one.finished_at,
    }  # fmt: skip
