"""``dash-appliance doctor``: look at what Dash stands on, and say for each trouble what to do."""

import click

from appliance.cli.answer import located_settings, say_json
from appliance.cli.exits import Exit
from appliance.cli.main import located

_SIGNS = {"fine": "ok  ", "warning": "warn", "bad": "BAD "}


@click.command("doctor", short_help="Look at disk, clock, permissions, port and databases; each with a remedy.")
@click.option("--airgap", is_flag=True, help="List everything that could leave this machine.")
@located
def command(airgap: bool, data_dir: str | None, config: str | None, as_json: bool, debug: bool) -> int:
    """Look at disk, clock, permissions, port, databases and egress; each trouble comes with a remedy.

    Works beside a running appliance and on a stopped one. Answers 1 if something is bad.
    """
    settings = located_settings(data_dir, config).settings
    from appliance.cli import airgap as outside
    from appliance.cli import examinations

    findings = outside.ways_out(settings) if airgap else examinations.everything(settings)
    bad = any(finding.state == "bad" for finding in findings)
    if as_json:
        say_json({"fine": not bad, "findings": findings})
    else:
        for finding in findings:
            click.echo(f"{_SIGNS[finding.state]}  {finding.about:<12} {finding.message}")
            if finding.remedy:
                click.echo(f"      {'':<12} -> {finding.remedy}")
    return Exit.FAILED if bad else Exit.FINE
