"""``dash-appliance upgrade``: to a signed release, and back by itself where that is not well."""

from contextlib import suppress
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from appliance.cli.answer import located_settings
from appliance.cli.data_dir import asked_as_owner
from appliance.cli.exits import Exit
from appliance.cli.findings import say_findings
from appliance.cli.keys import ring_of_keys
from appliance.cli.main import located
from appliance.cli.upgrade_parts import alone, course_of, kept, releases_of, told, where
from appliance.errors import ConfigError, Conflict, DashError, NotFound, Problem

if TYPE_CHECKING:
    from appliance.settings import Settings
    from appliance.upgrading.course import Course, Data
    from appliance.upgrading.preflight import Plan, Wanted
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
    releases = releases_of(options)
    if options["ordered"]:
        return _ordered(releases, options)
    settings = located_settings(options["data_dir"], options["config"]).settings
    if options["resume"]:
        return _resumed(settings, releases, options)
    if bundle is None:
        raise ConfigError([Problem("BUNDLE", "there is no release to go over to", "say the .tar.xz, or --resume")])
    named = Path(bundle), Path(options["signature"] or f"{bundle}.sig")
    if options["dry_run"]:
        return _looked_at_only(settings, named, options)
    from appliance.upgrading import taking

    # By a copy: what is named may lie where others write.
    with alone(releases.home), taking.into(releases.home) as incoming:
        return _upgraded(settings, taking.kept_from(*named, incoming), options)


def _looked_at_only(settings: "Settings", named: tuple[Path, Path], options: dict[str, Any]) -> int:
    from appliance.upgrading.taking import Taken

    plan = _plan(_wanted(settings, Taken(*named), options), *course_of(settings, options))
    say_findings(plan.findings, as_json=options["as_json"])
    return Exit.FINE if plan.go else Exit.FAILED


def _ordered(releases: "Releases", options: dict[str, Any]) -> int:
    """Take the release that waits, and let whoever asked for it see why it was not taken."""
    from appliance.domain.upgrade import Outcome
    from appliance.upgrading import taking

    try:
        settings = located_settings(options["data_dir"], options["config"]).settings
        with alone(releases.home), taking.into(releases.home) as incoming:
            code = _upgraded(settings, taking.taken(settings.server.data_dir, incoming), options)
    except (DashError, OSError) as error:
        if options["data_dir"]:
            with suppress(NotFound):
                taking.unasked(Path(options["data_dir"]))
        releases.keep(Outcome(releases.current, "", str(error)))
        raise
    if code == Exit.FINE:
        taking.forgotten(settings.server.data_dir)
    return code


def _upgraded(settings: "Settings", found: "Taken", options: dict[str, Any]) -> int:
    if releases_of(options).noted(dict) is not None:
        raise Conflict("an upgrade was cut short: 'sudo dash-appliance upgrade --resume' undoes it first")
    course, releases, data = course_of(settings, options)
    plan = _plan(_wanted(settings, found, options), course, releases, data)
    if not plan.go or plan.manifest is None or not options["as_json"]:
        say_findings(plan.findings, as_json=options["as_json"])
    if not plan.go or plan.manifest is None:
        if options["ordered"]:
            raise Conflict(plan.in_the_way)
        return Exit.FAILED
    if not options["as_json"]:
        click.echo(f"unpack    {plan.manifest.version}")
    releases.add(found.bundle, plan.manifest)
    _smoke(releases, plan.manifest.version, data)
    outcome = kept(releases, plan.manifest.version, partial(course.run, plan.manifest.version))
    if outcome.trouble is None:
        course.tidy(releases.tidy([outcome.before, outcome.after]))
    return told(outcome, as_json=options["as_json"])


def _wanted(settings: "Settings", found: "Taken", options: dict[str, Any]) -> "Wanted":
    from appliance.release import pinned
    from appliance.upgrading.preflight import Wanted

    bundle, signature, version = found
    return Wanted(bundle, signature, pinned(), _maintained_to(settings), options["database_copied"], version)


def _plan(wanted: "Wanted", course: "Course", releases: "Releases", data: "Data") -> "Plan":
    """Look at the release, and at the one that runs: where that is not well, neither way would end well."""
    from appliance.upgrading.preflight import examine

    plan = examine(wanted, releases, data)
    return msgspec.structs.replace(plan, findings=[*plan.findings, course.at_present()])


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

    if not settings.server.data_dir.is_dir():  # of which others tell
        return None
    ring = ring_of_keys()

    def ask() -> str:
        found = looked_at(settings, ring)
        return "" if found is None or found.maintenance_to is None else found.maintenance_to.isoformat()

    said = asked_as_owner(settings.server.data_dir, ask)
    return date.fromisoformat(said) if said else None


def _resumed(settings: "Settings", releases: "Releases", options: dict[str, Any]) -> int:
    with alone(releases.home):
        if releases.noted(dict) is None:
            click.echo("{}" if options["as_json"] else "no upgrade was cut short")
            return Exit.FINE
        outcome = kept(releases, "", course_of(settings, options)[0].take_up)
    return told(outcome, as_json=options["as_json"])
