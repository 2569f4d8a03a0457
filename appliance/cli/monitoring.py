"""``dash-appliance monitoring``: rules for Prometheus and a dashboard for Grafana, ready made, for Dash itself."""

import click

from appliance.cli.answer import located_settings
from appliance.cli.main import located
from appliance.observe import alert_rules


@click.group("monitoring", short_help="Print alert rules for Prometheus, a dashboard for Grafana.")
def command() -> None:
    """Print what other programs need to watch Dash by its /metrics. Needs no running appliance."""


@command.command("rules", short_help="Print alert rules for Prometheus.")
@located
def rules(data_dir: str | None, config: str | None, as_json: bool, debug: bool) -> None:
    """Print alert rules for Prometheus: YAML, or the same declarations with --json.

    The job is expected to be called 'dash'. With server.base_url set, alerts link to this appliance's runbook.
    """
    if as_json:
        from appliance.cli.answer import say_json

        say_json(alert_rules.ALERTS)
        return
    base_url = located_settings(data_dir, config).settings.server.base_url
    click.echo(alert_rules.rules(base_url or ""), nl=False)


@command.command("dashboard", short_help="Print a dashboard for Grafana.")
def dashboard() -> None:
    """Print a dashboard for Grafana as JSON: import it there, and choose a Prometheus that scrapes Dash."""
    click.echo(alert_rules.dashboard(), nl=False)
