"""``dash-appliance support-bundle``: what somebody elsewhere needs to help, shown before it is saved."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import click

from appliance.cli.answer import located_settings, plain, say_json
from appliance.cli.client import connected, reaching
from appliance.cli.data_dir import become_owner, owner
from appliance.cli.exits import CannotCreate, Exit
from appliance.cli.findings import say_findings
from appliance.cli.main import located
from appliance.domain.clock import utc_now
from appliance.settings import Settings


@click.command("support-bundle", short_help="Save state, settings, log and failures, without secrets, for support.")
@click.option("--output", metavar="FILE", type=click.Path(), help="File to write [dash-support-….zip here].")
@click.option("--preview", is_flag=True, help="Only show what would be saved.")
@click.option("--read", "given", metavar="FILE", type=click.Path(), help="Say what stands out in a bundle; offline.")
@reaching
@located
def command(output: str | None, preview: bool, given: str | None, **options: Any) -> int:
    """Save what somebody elsewhere needs to help: state, settings, metrics, log, failures, and what 'doctor' finds.

    No secret, no event and no address of a person is in it; --preview shows every file. Of a stopped appliance it holds
    less: settings, what 'doctor' finds, incidents and failures. --read FILE analyses one, anywhere.
    """
    from appliance.services import support

    if given is not None:
        return _read(Path(given), as_json=options["as_json"])
    settings = located_settings(options["data_dir"], options["config"]).settings
    target = Path(output or support.name_of(utc_now()))
    with _made(None if preview else target) as file:
        files = support.redacted(_collected(settings, options))
        if file is None:
            return _preview(files, as_json=options["as_json"])
        size = file.write(support.packed(files))
    if options["as_json"]:
        say_json({"file": str(target), "files": {name: len(text) for name, text in files.items()}})
    else:
        click.echo(f"{target}: {len(files)} files, {size:,} bytes; look into it before you send it")
    return Exit.FINE


def _collected(settings: Settings, options: dict[str, Any]) -> dict[str, str]:
    from appliance.cli import examinations
    from appliance.services import support

    told: dict[str, Any] | None = None
    if options["url"] is not None or owner(settings.server.data_dir) is not None:
        with connected(settings, options["url"], options["token_file"]) as client:
            told = client.get("/support-bundle/preview")
    become_owner(settings.server.data_dir)
    files = {"doctor.json": support.pretty(examinations.everything(settings))}
    if told is not None:
        return files | {one["name"]: one["text"] for one in told["files"]}
    return files | support.about(utc_now(), _shown(settings)) | _left(settings.server.data_dir)


def _shown(settings: Settings) -> dict[str, str]:
    from appliance.settings.declared import declared

    return {one.key: one.show(getattr(getattr(settings, one.section), one.name)) for one in declared()}


def _left(data_dir: Path) -> dict[str, str]:
    """Return what the last process kept of its incidents and failures."""
    from appliance.engine.incident_watch import IncidentWatch
    from appliance.observe.log_book import LogBook
    from appliance.services import support

    watch = IncidentWatch(data_dir, book=LogBook())
    watch.load()
    return {
        "incidents.json": support.pretty(watch.incidents),
        "failures.json": support.pretty(watch.book.failures()),
    }


def _preview(files: dict[str, str], *, as_json: bool) -> int:
    if as_json:
        say_json(files)
        return Exit.FINE
    for name, text in files.items():
        click.echo(f"== {name} ({len(text):,} characters)\n{plain(text)}")
    return Exit.FINE


def _read(path: Path, *, as_json: bool) -> int:
    from appliance.services import support_reading

    findings = list(support_reading.stands_out(support_reading.read(path)))
    say_findings(findings, as_json=as_json)
    return Exit.FAILED if any(one.state == "bad" for one in findings) else Exit.FINE


@contextmanager
def _made(target: Path | None) -> Iterator[BinaryIO | None]:
    """Make a file that was not there, for its owner only, before anything is looked at; it goes if that fails."""
    if target is None:
        yield None
        return
    try:
        file = os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except OSError as error:
        raise CannotCreate(f"the support bundle cannot be written to {target}: {error.strerror}") from error
    try:
        with file:
            yield file
    except BaseException:
        with suppress(OSError):  # it may lie where only root may remove it: then it is empty
            target.unlink()
        raise
