"""``dash-appliance doctor``: look at what Dash stands on, and say for each trouble what to do."""

import click

from appliance.cli.answer import located_settings
from appliance.cli.exits import Exit
from appliance.cli.findings import say_findings
from appliance.cli.main import located


@click.command("doctor", short_help="Look at disk, clock, permissions, port and databases; each with a remedy.")
@click.option("--airgap", is_flag=True, help="List everything that could leave this machine.")
@located
def command(airgap: bool, data_dir: str | None, config: str | None, as_json: bool, debug: bool) -> int:
    """Look at disk, clock, permissions, port, databases, licence and egress; each trouble comes with a remedy.

    Works beside a running appliance and on a stopped one. Answers 1 if something is bad.
    """
    settings = located_settings(data_dir, config).settings
    from appliance.cli import airgap as outside
    from appliance.cli import examinations
    from appliance.cli.data_dir import become_owner

    become_owner(settings.server.data_dir)  # what the service may counts, and nothing is left that it could not write
    findings = outside.ways_out(settings) if airgap else examinations.everything(settings)
    bad = any(finding.state == "bad" for finding in findings)
    say_findings(findings, as_json=as_json)
    return Exit.FAILED if bad else Exit.FINE
