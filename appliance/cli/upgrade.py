"""``dash-appliance upgrade``: to a signed release, and back by itself where that is not well."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.answer import located_settings
from appliance.cli.exits import Exit
from appliance.cli.findings import say_findings
from appliance.cli.main import located
from appliance.cli.upgrade_parts import course_of, releases_of, told, where
from appliance.errors import ConfigError, Conflict, Problem

if TYPE_CHECKING:
    from appliance.settings import Settings
    from appliance.upgrading import Course, Releases
    from appliance.upgrading.course import Data


@click.command("upgrade", short_help="Go over to a signed release; back by itself where it is not well.")
@click.argument("bundle", type=click.Path(), required=False)
@click.option("--signature", metavar="FILE", type=click.Path(), help="Its signature [BUNDLE.sig].")
@click.option("--dry-run", is_flag=True, help="Only look; change nothing.")
@click.option("--database-copied", is_flag=True, help="A copy of the database was made: go on without a snapshot.")
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
    if bundle is None:
        raise ConfigError([Problem("BUNDLE", "there is no release to go over to", "say the .tar.xz, or --resume")])
    if releases_of(options).noted(dict) is not None:
        raise Conflict("an upgrade was cut short: 'dash-appliance upgrade --resume' undoes it first")
    course, releases, data = course_of(settings, options)
    from appliance.release import pinned
    from appliance.upgrading import examine
    from appliance.upgrading.preflight import Wanted

    signature = Path(options["signature"] or f"{bundle}.sig")
    wanted = Wanted(Path(bundle), signature, pinned(), _maintained_to(settings), options["database_copied"])
    plan = examine(wanted, releases, data)
    if options["dry_run"] or not plan.go or plan.manifest is None:
        say_findings(plan.findings, as_json=options["as_json"])
        return Exit.FINE if plan.go else Exit.FAILED
    if not options["as_json"]:
        say_findings(plan.findings, as_json=False)
        click.echo(f"unpack    {plan.manifest.version}")
    releases.add(Path(bundle), plan.manifest)
    _smoke(releases, plan.manifest.version, data)
    outcome = course.run(plan.manifest.version)
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
    return None


def _resumed(course: "Course", *, as_json: bool) -> int:
    outcome = course.take_up()
    if outcome is None:
        click.echo("{}" if as_json else "no upgrade was cut short")
        return Exit.FINE
    return told(outcome, as_json=as_json)
