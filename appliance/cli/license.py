"""``dash-appliance license``: ask for one, install it, see what it allows now and on a day to come."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from appliance.cli.answer import located_settings, say_json
from appliance.cli.client import reaching
from appliance.cli.exits import CannotCreate, Exit
from appliance.cli.license_desk import desk
from appliance.cli.main import located
from appliance.cli.table import table

_MOST_BYTES = 1 << 20


@click.group("license", short_help="Ask for a licence, install it, see what it allows.")
def command() -> None:
    """Ask for a licence, install it, see what it allows, now and on a day to come.

    While the appliance runs they ask it, with a token; of a stopped one they open the control plane themselves.
    """


@command.command("request", short_help="Show the request code.")
@reaching
@located
def request(**options: Any) -> int:
    """Show the request code: 16 characters that name this installation, to be sent to whoever issues licences."""
    with _desk(options) as there:
        answer = there.request()
    if options["as_json"]:
        say_json(answer)
    else:
        click.echo(answer["code"])
    return Exit.FINE


@command.command("show", short_help="Show what is in force.")
@reaching
@located
def show(**options: Any) -> int:
    """Show the licence that is in force, what it allows, and how much of that is used."""
    with _desk(options) as there:
        answer = there.show()
    if options["as_json"]:
        say_json(answer)
    else:
        _say(answer)
    return Exit.FINE


@command.command("install", short_help="Put a licence in force.")
@click.argument("file", metavar="FILE")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@reaching
@located
def install(file: str, dry_run: bool, **options: Any) -> int:
    """Put the licence in FILE ('-': standard input) in force; what counted before counts until it is accepted."""
    document = _read(file)
    with _desk(options) as there:
        preview = there.preview(document)
        after = preview["after"] if dry_run else there.install(document)
    if options["as_json"]:
        say_json(preview if dry_run else after)
        return Exit.FINE
    rows = [(one["what"], one["before"], one["after"]) for one in preview["changes"]]
    table(("WHAT", "BEFORE", "AFTER"), rows, nothing="nothing changes")
    click.echo("nothing is changed yet" if dry_run else f"in force: {_title(after)}")
    return Exit.FINE


@command.command("revocations", short_help="Put a revocation list in force.")
@click.argument("file", metavar="FILE")
@reaching
@located
def revocations(file: str, **options: Any) -> int:
    """Put the revocation list in FILE ('-': standard input) in force; a list never replaces a newer one."""
    document = _read(file)
    with _desk(options) as there:
        answer = there.revoke(document)
    if options["as_json"]:
        say_json(answer)
    else:
        click.echo(f"list {answer['revocations']} is in force")
        _say(answer)
    return Exit.FINE


@command.command("simulate", short_help="Show what will be allowed on a day.")
@click.option("--date", "day", required=True, type=click.DateTime(["%Y-%m-%d"]), help="The day, in UTC.")
@reaching
@located
def simulate(day: datetime, **options: Any) -> int:
    """Show what would be allowed on a day with the licence that is installed, and with what there is today."""
    with _desk(options) as there:
        answer = there.simulate(day.date())
    if options["as_json"]:
        say_json(answer)
        return Exit.FINE
    _say(answer)
    rows = [(one["name"], "yes" if one["allowed"] else "no") for one in answer["deeds"]]
    table(("WHAT", f"ON {answer['day']}"), rows, nothing="nothing is known")
    return Exit.FINE


def _desk(options: dict[str, Any]) -> Any:
    settings = located_settings(options["data_dir"], options["config"]).settings
    return desk(settings, options["url"], options["token_file"])


def _read(file: str) -> str:
    try:
        data = sys.stdin.buffer.read(_MOST_BYTES) if file == "-" else _some(Path(file))
    except OSError as error:
        raise CannotCreate(f"the file {file!r} cannot be read: {error.strerror}") from error
    return data.decode("utf-8", "replace")  # whatever is wrong with it is told as of any other document


def _some(path: Path) -> bytes:
    with path.open("rb") as found:
        return found.read(_MOST_BYTES)


def _say(one: dict[str, Any]) -> None:
    click.echo(_title(one))
    if one["installation"]:  # else it is told to the organisation that operates the appliance alone
        click.echo(f"request code  {one['installation']}")
        click.echo(f"believes      {', '.join(one['keys']) or 'nobody: no key is pinned in this version'}")
    rows = [
        (limit["thing"], "unlimited" if limit["limit"] is None else f"{limit['limit']:,}", f"{limit['used']:,}")
        for limit in one["limits"]
    ]
    table(("OF", "ALLOWED", "THERE ARE"), rows, nothing="nothing is limited")
    for warning in one["warnings"]:
        click.echo(f"warning: {warning['message']}\n  -> {warning['remedy']}")


def _title(one: dict[str, Any]) -> str:
    if not one["installation"]:
        return f"{one['edition']}: {one['standing']}"
    if one["id"] is None:
        return f"{one['edition']}: no licence is in force"
    return (
        f"{one['edition']}, of {one['customer']} ({one['id']}): {one['standing']}, until {one['valid_to']}, "
        f"features: {', '.join(one['features']) or 'none'}"
    )
