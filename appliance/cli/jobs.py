"""``dash-appliance jobs``: what a running appliance does in the background."""

from typing import Any

import click

from appliance.cli.answer import say_json
from appliance.cli.asking import asked
from appliance.cli.client import quoted, reaching
from appliance.cli.exits import Exit
from appliance.cli.main import located
from appliance.cli.table import said, table
from appliance.domain.job import JobState


@click.group("jobs", short_help="List, cancel or try again what is done in the background.")
def command() -> None:
    """List, cancel or try again what a running appliance does in the background."""


@command.command("list", short_help="List jobs, newest first.")
@click.option("--state", type=click.Choice([state.value for state in JobState]), help="Only jobs in this state.")
@click.option("--kind", metavar="KIND", help="Only jobs of this kind, such as retention.round.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many at most.")
@reaching
@located
def show(state: str | None, kind: str | None, limit: int, **options: Any) -> int:
    """List jobs, newest first: of the organisation, and of the whole installation."""
    with asked(options) as client:
        items = client.get("/jobs", state=state, kind=kind, limit=limit)["items"]
    if options["as_json"]:
        say_json(items)
        return Exit.FINE
    heads = ("ID", "KIND", "STATE", "PROGRESS", "NODE", "RUN AT", "ERROR")
    table(heads, [_row(one) for one in items], nothing="there are no such jobs")
    return Exit.FINE


@command.command("cancel", short_help="Cancel one.")
@click.argument("job")
@reaching
@located
def cancel(job: str, **options: Any) -> int:
    """Cancel JOB (its id): at once while it waits; one that runs stops as soon as it can."""
    return _deed(job, "cancel", options)


@command.command("retry", short_help="Send one that failed or was cancelled back.")
@click.argument("job")
@reaching
@located
def retry(job: str, **options: Any) -> int:
    """Send JOB (its id), which failed or was cancelled, back with all its attempts."""
    return _deed(job, "retry", options)


def _deed(job: str, deed: str, options: dict[str, Any]) -> int:
    with asked(options) as client:
        answer = client.post(f"/jobs/{quoted(job)}/{deed}")
    if options["as_json"]:
        say_json(answer)
    else:
        click.echo(f"{job}: {'told to stop' if answer['cancelling'] else answer['state']}")
    return Exit.FINE


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    state = "cancelling" if one["cancelling"] else one["state"]
    progress, node, error = _progress(one["progress"]), said(one["node"]), said(one["error"])
    return one["id"], one["kind"], state, progress, node, one["run_at"], error


def _progress(progress: dict[str, Any] | None) -> str:
    if progress is None:
        return "-"
    return f"{progress['done']}/{progress['total']}" if progress["total"] else said(progress["text"])
