"""``dash-appliance database move``: everything of an appliance into a database, or back."""

from typing import Any, Final

import click

from appliance.cli.answer import located_settings, say_json
from appliance.cli.data_dir import owned, owner
from appliance.cli.main import located
from appliance.cli.move_ordered import check_idle, check_order, ordered, watched, withdrawn
from appliance.cli.move_progress import Shown
from appliance.cli.replay_progress import duration
from appliance.domain.database.dsn import Dsn
from appliance.domain.quantity import counted
from appliance.errors import ConfigError, Problem
from appliance.settings import Settings
from appliance.settings.chosen import choose_embedded

EMBEDDED: Final = "embedded"
_STANDS_STILL: Final = "nothing is received until it is done, for the appliance does not run:"
_GOES_ON: Final = "events are received meanwhile; screens and API wait:"
_NEXT: Final = {
    False: """next: set DASH_DATABASE_URL (or database.url) to that database, then start.
The former files stay as they are; Dash will not start on them by mistake.""",
    True: "next: unset DASH_DATABASE_URL (or database.url), then start.",
}
_LIVES: Final = {
    False: "It lives there from now on, by chosen.toml in the data directory; put database.url into your own settings"
    " to replace it.",
    True: "It lives in the data directory from now on; remove database.url from your settings when you come to it.",
}


@click.command("move", short_help="Move an appliance into a database, or back.")
@click.option("--to", "target", metavar="DSN|embedded", help="Where it goes.")
@click.option("--dry-run", is_flag=True, help="Of a stopped one: say what would happen and change nothing.")
@click.option("--rebuild", is_flag=True, help="Leave rows behind: they are made again from Bronze.")
@click.option("--accept-loss", is_flag=True, help="With --rebuild: also where Bronze has the events no more.")
@click.option("--cancel", is_flag=True, help="Withdraw the move that is under way.")
@located
def move(target: str | None, as_json: bool, **options: Any) -> None:
    """Copy everything of an appliance into an empty database, or back: what people entered, and all rows.

    One that runs carries it out by itself and receives events all the while; its screens and its API show how far it
    is. Where it is now is what the settings say, and stays as it is. Rows are copied first and compared with what they
    were; the control plane is copied last, in one step. Interrupted, it goes on at the next start, or by the same
    command. Events stay where they are.
    """
    settings = located_settings(options["data_dir"], options["config"]).settings
    from appliance.observe import logs

    logs.configure("warning", settings.log.format.value)
    folder = settings.server.data_dir
    if options["cancel"]:
        done = withdrawn(folder)
        say_json(done) if as_json else click.echo("withdrawn: everything stays where it is")
    elif target is None:
        raise click.UsageError("say where it goes by --to DSN or --to embedded")
    elif owner(folder) is not None and not options["dry_run"]:
        _of_running(settings, target, as_json=as_json, rebuild=options["rebuild"], accept_loss=options["accept_loss"])
    else:
        _of_stopped(settings, target, as_json=as_json, **options)


def _of_running(settings: Settings, target: str, *, as_json: bool, **more: bool) -> None:
    """Have the appliance that runs move, and watch it."""
    folder, embedded = settings.server.data_dir, target == EMBEDDED
    goal = None if embedded else parsed(target)
    check_order(settings, goal)
    ordered(folder, goal, **more)
    if not as_json:
        _say_rate(_GOES_ON, embedded=embedded)
    try:
        done = watched(folder, Shown(quiet=as_json)).moved
    except KeyboardInterrupt:
        click.echo("\nit goes on; 'dash-appliance database move --cancel' withdraws it", err=True)
        raise
    if as_json:
        say_json(done)
        return
    if done is not None:
        _say_done(done)
    click.echo(_LIVES[embedded])


def _of_stopped(settings: Settings, target: str, *, as_json: bool, **options: Any) -> None:
    """Move an appliance that does not run."""
    from appliance import compose, moving, placing

    folder, embedded = settings.server.data_dir, target == EMBEDDED
    check_idle(folder)
    goal = folder / placing.CONTROL_FILE if embedded else placing.access_to(parsed(target), settings)
    with owned(folder):
        order = compose.order(
            settings,
            _source(settings, target),
            goal,
            rebuild=options["rebuild"],
            accept_loss=options["accept_loss"],
        )
        if options["dry_run"]:
            _say_plan(moving.plan(order), as_json=as_json)
            return
        if not as_json:
            _say_rate(_STANDS_STILL, embedded=embedded)
        shown = Shown(quiet=as_json)
        done = moving.carry_out(order, shown.rows, shown.control)
        if embedded:
            choose_embedded(folder)
    if as_json:
        say_json(done)
        return
    _say_done(done)
    click.echo(_NEXT[embedded])


def _say_rate(told: str, *, embedded: bool) -> None:
    from appliance import moving

    rate = moving.RATES["back" if embedded else "there"]
    click.echo(f"{told} about {duration(1_000_000 / rate)} for each million rows", err=True)


@click.command("accept-loss", short_help="Give up rows that can neither be found nor made again.")
@located
def accept_loss(as_json: bool, **options: Any) -> None:
    """Let a stopped appliance start on a database that lacks rows whose events Bronze has no more.

    It is put down in the audit trail. To have the rows, move them instead: see 'dash-appliance database move'.
    """
    settings = located_settings(options["data_dir"], options["config"]).settings
    from appliance import compose
    from appliance.observe import logs

    logs.configure("warning", settings.log.format.value)
    with owned(settings.server.data_dir):
        lost = compose.accept_loss(settings)
    if as_json:
        say_json({"given_up": lost})
        return
    for one in lost:
        click.echo(f"{one.name}: the rows of events {one.refined + 1} to {one.lost_up_to} are given up")
    if not lost:
        click.echo("nothing is lost: there is nothing to give up")


def parsed(dsn: str) -> Dsn:
    """Return a DSN given as an argument. Raises ConfigError."""
    try:
        return Dsn.parse(dsn)
    except ValueError as error:
        raise ConfigError([Problem("DSN", str(error))]) from error


def _say_plan(plan: Any, *, as_json: bool) -> None:
    if as_json:
        say_json(plan)
        return
    click.echo(f"from  {plan.source}\nto    {plan.target}")
    for table, rows in plan.counts.items():
        click.echo(f"      {table:<18} {rows:>11,}")
    for one in plan.pipelines:
        click.echo(f"rows  {one.pipeline:<18} {one.rows:>11,}, and {one.dead:,} dead letters")
    if plan.pipelines:
        click.echo(f"about {duration(plan.secs)}, by what was measured on two cores; one that runs receives meanwhile")
    else:
        click.echo("rows  none; they are made again from Bronze")
    click.echo("nothing was changed: leave --dry-run out to move it")


def _say_done(done: Any) -> None:
    control = done.control
    click.echo(f"moved: {sum(control.counts.values())} rows of the control plane from {control.source}")
    click.echo(f"       to {control.target}")
    if done.rows is None:
        click.echo("rows are made again from Bronze at the first start")
    else:
        told = f"moved and compared: {done.rows.rows:,} rows and {done.rows.dead:,} dead letters"
        click.echo(f"{told} of {counted(done.rows.pipelines, 'pipeline')} in {duration(done.rows.secs)}")
    if control.set_aside:
        click.echo(f"what was in the way is kept as {control.set_aside}")


def _source(settings: Settings, target: str) -> Any:
    from appliance import placing

    embedded = settings.server.data_dir / placing.CONTROL_FILE
    if target != EMBEDDED:
        return embedded  # also where database.url says already where it is to be
    place = placing.access_of(settings)
    if place is None:
        raise ConfigError([Problem("database.url", "everything is embedded already", "nothing has to be moved")])
    return place
