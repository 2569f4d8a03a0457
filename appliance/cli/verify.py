"""``dash-appliance verify``: prove that nothing was lost or changed."""

from collections.abc import Callable
from typing import Final

import click

from appliance.cli.answer import located_settings, say_json
from appliance.cli.data_dir import existing, owned
from appliance.cli.exits import Exit
from appliance.cli.main import located
from appliance.domain import handbook

TOLD_EVERY: Final = 100  # objects


@click.command("verify", short_help="Prove Bronze's hash chains, the ledgers and the audit log.")
@click.option("--archive", is_flag=True, help="Read every object in the archive as well.")
@located
def command(archive: bool, data_dir: str | None, config: str | None, as_json: bool, debug: bool) -> int:
    """Read every Bronze segment, ledger and the audit log of a stopped appliance; answer 1 if something is wrong.

    A segment that is in the archive only is fetched for it; with --archive, so is what is archived and here too.
    Nothing is changed. Each finding names the place and what to do.
    """
    settings = located_settings(data_dir, config).settings
    where = existing(settings.server.data_dir)
    from appliance import compose
    from appliance.observe import logs

    logs.configure("warning", settings.log.format.value)
    with owned(where):
        report = compose.verify(settings, _progress(quiet=as_json) if archive else None)
    if as_json:
        say_json(report)
    else:
        for finding in report.findings:
            click.echo(f"{finding.where}: {finding.message}\n    -> {finding.remedy}")
        if report.findings:
            click.echo(f"more: {handbook.VERIFY}")
        click.echo(f"{'wrong' if report.findings else 'fine'}: {report.summary}")
    return Exit.FAILED if report.findings else Exit.FINE


def _progress(*, quiet: bool) -> Callable[[int], None]:
    def proved(count: int) -> None:
        if not quiet and count % TOLD_EVERY == 0:
            click.echo(f"{count:,} objects in the archive are read", err=True)

    return proved
