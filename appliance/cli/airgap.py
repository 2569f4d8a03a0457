"""What could leave this machine: nothing, until somebody adds a source that polls, or a setting says where to."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from appliance.domain.finding import Examined
from appliance.errors import DashError
from appliance.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from appliance.storage.control.plane import ControlPlane

T = TypeVar("T")


def ways_out(settings: Settings) -> list[Examined]:
    """Return every pipeline and setting that connects to somebody else, and the private networks that are allowed."""
    try:
        found = [*_database(settings), *_polling(settings), *_allowed(settings), *_buckets(settings)]
        found += [*_telemetry(settings), *_providers(settings)]
    except DashError as error:
        return [Examined("egress", "bad", f"the pipelines cannot be read: {error}", "mend the database first")]
    return found or [Examined("egress", "fine", "nothing leaves this machine: no source polls, no network is allowed")]


def _database(settings: Settings) -> Iterator[Examined]:
    for dsn in (settings.database.url, *settings.database.replicas):
        if dsn is not None:
            where = ", ".join(str(one) for one in dsn.endpoints)
            yield Examined("egress", "fine", f"control plane and rows are kept by the database on {where}")


def _polling(settings: Settings) -> Iterator[Examined]:
    for name, state, source in _sources(settings):
        if address := source.get("url"):
            yield Examined("egress", "fine", f"pipeline {name!r} ({state}) asks {_host(str(address))}")


def _allowed(settings: Settings) -> Iterator[Examined]:
    if allowed := settings.egress.allow:
        yield Examined("egress", "fine", f"private networks that may be asked: {', '.join(allowed)}")


def _buckets(settings: Settings) -> Iterator[Examined]:
    for what, it in (("closed segments go", settings.archive), ("backups go", settings.backup)):
        if it.url is not None and it.url.startswith("s3://"):
            host = urlsplit(it.endpoint).netloc if it.endpoint else f"s3.{it.region}.amazonaws.com"
            yield Examined("egress", "fine", f"{what} to {it.url} at {host}")


def _telemetry(settings: Settings) -> Iterator[Examined]:
    it = settings.telemetry
    if it.sentry_dsn is not None:
        yield Examined("egress", "fine", f"failures of this node are told to {_host(it.sentry_dsn)}")
    if it.otlp_url is not None:
        yield Examined("egress", "fine", f"metrics of this node are told to {_host(it.otlp_url)}")


def _host(address: str) -> str:
    return urlsplit(address).netloc.rpartition("@")[2]


def _providers(settings: Settings) -> Iterator[Examined]:
    from sqlalchemy import select

    from appliance.storage.control.plane import ControlPlane
    from appliance.storage.control.provider_tables import ProviderRow

    # A database of before this version has none.
    for row in _read(settings, lambda tx: list(tx.scalars(select(ProviderRow))), ControlPlane.is_current):
        state = "on" if row.document["enabled"] else "off"
        told = f"people sign in by the provider {row.name!r} ({state}) at {_host(row.document['issuer'])}"
        yield Examined("egress", "fine", told)


def _sources(settings: Settings) -> list[tuple[str, str, dict[str, Any]]]:
    """Return (name, state, source) of every pipeline."""
    from appliance.storage.control import pipelines
    from appliance.storage.control.plane import ControlPlane

    return [
        (str(row.live_name), row.state, version.definition.get("source", {}))
        for row, version in _read(settings, pipelines.everything, ControlPlane.is_there)
        if row.live_name
    ]


def _read(
    settings: Settings, work: Callable[["Session"], list[T]], readable: Callable[["ControlPlane"], bool]
) -> list[T]:  # fmt: skip
    """Return what the control plane holds, where it is ``readable``. Read-only: the appliance may be running."""
    from appliance.placing import place_of
    from appliance.storage.control.plane import ControlPlane

    place = place_of(settings)
    if isinstance(place, Path) and not place.exists():
        return []
    plane = ControlPlane.look(place)
    try:
        return plane.read_now(work) if readable(plane) else []
    finally:
        plane.close()
