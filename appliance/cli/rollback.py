"""``dash-appliance rollback``: to an older release that is still here."""

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.answer import located_settings
from appliance.cli.main import located
from appliance.cli.upgrade_parts import alone, course_of, kept, releases_of, told, where
from appliance.errors import ConfigError, Conflict, NotFound, Problem

if TYPE_CHECKING:
    from appliance.upgrading.releases import Releases


@click.command("rollback", short_help="Go back to the release before.")
@click.option("--to", "version", metavar="VERSION", help="Release to go back to [the newest older one].")
@click.option(
    "--snapshot", metavar="ID", help="Also put the data back to this snapshot: changes by people since are lost."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@where
@located
def command(version: str | None, snapshot: str | None, yes: bool, **options: Any) -> int:
    """Go back to an older release that is still here.

    Data stay as they are where both releases keep the same schema. Otherwise say which snapshot to put back ('backup
    snapshot list'): what people changed since is lost then; events are not, and are refined again.
    """
    settings = located_settings(options["data_dir"], options["config"]).settings
    releases = releases_of(options)
    with alone(releases.home):
        if releases.noted(dict) is not None:
            raise Conflict("an upgrade was cut short: 'dash-appliance upgrade --resume' undoes it first")
        course, _, _ = course_of(settings, options)
        to = _older(releases, version)
        if snapshot is None and _schema(releases, to) != _schema(releases, releases.current):
            told_of = f"{to} keeps an older schema: the data have to go back too"
            raise ConfigError([Problem("--snapshot", told_of, _snapshot_hint(releases, to))])
        if not yes:
            click.confirm(f"Go back from {releases.current} to {to}?", abort=True)
        outcome = kept(releases, to, partial(course.back, to, snapshot))
    return told(outcome, as_json=options["as_json"])


def _schema(releases: "Releases", version: str) -> str:
    return releases.manifest(version).control_schema


def _snapshot_hint(releases: "Releases", to: str) -> str:
    last = releases.outcome()
    if last is not None and last.snapshot and (last.before, last.after) == (to, releases.current):
        return f"the upgrade took --snapshot {last.snapshot}"
    return "'sudo dash-appliance backup snapshot list' names them; the upgrade took one"


def _older(releases: "Releases", wanted: str | None) -> str:
    from appliance.upgrading.releases import ordinal

    current = releases.current
    older = sorted((one for one in releases.versions() if ordinal(one) < ordinal(current)), key=ordinal)
    if (wanted is not None and wanted not in older) or not older:
        there = ", ".join(older) or "none"
        raise NotFound(f"there is no release {wanted or 'before ' + current!r} to go back to; there are: {there}")
    return wanted or older[-1]
