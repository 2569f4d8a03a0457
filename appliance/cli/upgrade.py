"""``dash-appliance upgrade``: to a signed release, and back by itself where that is not well."""

import os
import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.answer import located_settings
from appliance.cli.data_dir import asked_as_owner
from appliance.cli.exits import Exit
from appliance.cli.findings import say_findings
from appliance.cli.keys import ring_of_keys
from appliance.cli.main import located
from appliance.cli.upgrade_parts import course_of, releases_of, told, where
from appliance.errors import ConfigError, Conflict, DashError, Problem

if TYPE_CHECKING:
    from appliance.settings import Settings
    from appliance.upgrading.course import Course, Data
    from appliance.upgrading.releases import Releases
    from appliance.upgrading.taking import Taken


@click.command("upgrade", short_help="Go over to a signed release; back by itself where it is not well.")
@click.argument("bundle", type=click.Path(), required=False)
@click.option("--signature", metavar="FILE", type=click.Path(), help="Its signature [BUNDLE.sig].")
@click.option("--dry-run", is_flag=True, help="Only look; change nothing.")
@click.option("--database-copied", is_flag=True, help="A copy of the database was made: go on without a snapshot.")
@click.option("--ordered", is_flag=True, help="Take the release that was uploaded by screen or API.")
@click.option("--resume", is_flag=True, help="Undo an upgrade that was cut short.")
@where
@located
def command(bundle: str | None, **options: Any) -> int:
    """Go over to the release in BUNDLE (.tar.xz), which is signed.

    It looks first: signature, machine, version, schema, licence, room. Then it stops the service, takes a snapshot of
    control plane and rows, exchanges the program, starts it, and waits until it is well. If it is not, program and data
    go back by themselves; events that came in meanwhile are kept. Answers 1 if something stands in the way, or it went
    back.
    """
    settings = located_settings(options["data_dir"], options["config"]).settings
    if options["resume"]:
        return _resumed(course_of(settings, options)[0], as_json=options["as_json"])
    if options["ordered"]:
        return _ordered(settings, options)
    if bundle is None:
        raise ConfigError([Problem("BUNDLE", "there is no release to go over to", "say the .tar.xz, or --resume")])
    return _named(settings, Path(bundle), Path(options["signature"] or f"{bundle}.sig"), options)


def _ordered(settings: "Settings", options: dict[str, Any]) -> int:
    """Take the release that waits, and let whoever asked for it see why it was not taken."""
    from appliance.domain.upgrade import Outcome
    from appliance.upgrading import taking

    releases = releases_of(options)
    incoming = releases.home / taking.INCOMING
    try:
        found = taking.taken(settings.server.data_dir, incoming)
        return _upgraded(settings, found, options)
    except (DashError, OSError) as error:
        releases.keep(Outcome(releases.current, "", str(error)))
        raise
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _named(settings: "Settings", bundle: Path, signature: Path, options: dict[str, Any]) -> int:
    """Go over to a release that lies where somebody says; by a copy, for others may write there."""
    from appliance.upgrading import taking

    incoming = releases_of(options).home / taking.INCOMING
    if options["dry_run"] or not os.access(incoming.parent, os.W_OK):  # the examination tells of rights
        return _upgraded(settings, taking.Taken(bundle, signature), options)
    try:
        return _upgraded(settings, taking.kept_from(bundle, signature, incoming), options)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _upgraded(settings: "Settings", found: "Taken", options: dict[str, Any]) -> int:
    from appliance.release import pinned
    from appliance.upgrading.preflight import Wanted, examine

    if releases_of(options).noted(dict) is not None:
        raise Conflict("an upgrade was cut short: 'dash-appliance upgrade --resume' undoes it first")
    course, releases, data = course_of(settings, options)
    bundle, signature, version = found
    wanted = Wanted(bundle, signature, pinned(), _maintained_to(settings), options["database_copied"], version)
    plan = examine(wanted, releases, data)
    if options["ordered"] and not plan.go:
        raise Conflict("; ".join(one.message for one in plan.findings if one.state == "bad"))
    if options["dry_run"] or not plan.go or plan.manifest is None:
        say_findings(plan.findings, as_json=options["as_json"])
        return Exit.FINE if plan.go else Exit.FAILED
    if not options["as_json"]:
        say_findings(plan.findings, as_json=False)
        click.echo(f"unpack    {plan.manifest.version}")
    releases.add(bundle, plan.manifest)
    _smoke(releases, plan.manifest.version, data)
    outcome = course.run(plan.manifest.version)
    releases.keep(outcome)
    if outcome.trouble is None:
        releases.tidy([outcome.before, outcome.after])
    return told(outcome, as_json=options["as_json"])


def _smoke(releases: "Releases", version: str, data: "Data") -> None:
    """Have the new release say its version and read the settings, before anything is stopped."""
    from appliance.upgrading.service import run_as

    program = str(releases.program(version))
    for words in (["version"], ["check", *data.located]):
        done = run_as(data.user, [program, *words])
        if done.code:
            raise Conflict(f"{version} does not run here ('{words[0]}': {done.last_words}); nothing was changed")


def _maintained_to(settings: "Settings") -> date | None:
    """Return the last day whose releases the licence covers; None: there is none, and every release may come."""
    from appliance.licensing import looked_at

    ring = ring_of_keys()

    def ask() -> str:
        found = looked_at(settings, ring)
        return "" if found is None or found.maintenance_to is None else found.maintenance_to.isoformat()

    said = asked_as_owner(settings.server.data_dir, ask)
    return date.fromisoformat(said) if said else None


def _resumed(course: "Course", *, as_json: bool) -> int:
    outcome = course.take_up()
    if outcome is None:
        click.echo("{}" if as_json else "no upgrade was cut short")
        return Exit.FINE
    return told(outcome, as_json=as_json)
