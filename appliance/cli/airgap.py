"""What could leave this machine: nothing, until somebody adds a source that polls."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from appliance.cli.finding import Examined
from appliance.errors import DashError
from appliance.settings import Settings

CONTROL_FILE = "control.sqlite3"


def ways_out(settings: Settings) -> list[Examined]:
    """Return every pipeline that connects to somebody else, and the private networks that are allowed."""
    try:
        found = [*_polling(settings), *_allowed(settings), *_archive(settings)]
    except DashError as error:
        return [Examined("egress", "bad", f"the pipelines cannot be read: {error}", "mend the database first")]
    return found or [Examined("egress", "fine", "nothing leaves this machine: no source polls, no network is allowed")]


def _polling(settings: Settings) -> Iterator[Examined]:
    for name, state, source in _sources(settings):
        if address := source.get("url"):
            host = urlsplit(str(address)).netloc.rpartition("@")[2]
            yield Examined("egress", "fine", f"pipeline {name!r} ({state}) asks {host}")


def _allowed(settings: Settings) -> Iterator[Examined]:
    if allowed := settings.egress.allow:
        yield Examined("egress", "fine", f"private networks that may be asked: {', '.join(allowed)}")


def _archive(settings: Settings) -> Iterator[Examined]:
    it = settings.archive
    if it.url is not None and it.url.startswith("s3://"):
        host = urlsplit(it.endpoint).netloc if it.endpoint else f"s3.{it.region}.amazonaws.com"
        yield Examined("egress", "fine", f"closed segments go to {it.url} at {host}")


def _sources(settings: Settings) -> list[tuple[str, str, dict[str, Any]]]:
    """Return (name, state, source) of every pipeline. Read-only: the appliance may be running."""
    path = settings.server.data_dir / CONTROL_FILE
    if not path.exists():
        return []
    import sqlalchemy

    from appliance.storage.control import pipelines
    from appliance.storage.control.plane import ControlPlane

    engine = sqlalchemy.create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    plane = ControlPlane(engine, lambda work, *arguments: work(*arguments))
    try:
        saved = plane.read_now(pipelines.everything)
    finally:
        plane.close()
    return [
        (str(row.live_name), row.state, version.definition.get("source", {})) for row, version in saved if row.live_name
    ]
