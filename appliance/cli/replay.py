"""``dash-appliance replay``: have a running appliance refine history again, and watch it."""

import time
from typing import Any, Final

import click

from appliance.cli.answer import located_settings, say_json
from appliance.cli.client import Client, connected, quoted, reaching
from appliance.cli.event_number import EVENT
from appliance.cli.exits import Exit, report
from appliance.cli.main import located
from appliance.cli.replay_progress import ENDS, Shown, duration, ending_of
from appliance.errors import DashError, NotFound

LOOK_EVERY_SECS: Final = 0.5
_DEEDS: Final = ("watch", "swap", "cancel", "undo")  # of a replay there is
_WISHES: Final = ("start", "end", "first_seq", "last_seq", "version", "resend", "dry_run", "no_swap")  # of a new one
_OF_ONE: Final = (*_DEEDS, "first_seq", "last_seq")


@click.command("replay", short_help="Refine history again beside the rows in use, then swap it in.")
@click.argument("pipeline", required=False)
@click.option(
    "--all", "everything", is_flag=True, help="Every pipeline, one after another: Silver rebuilt from Bronze."
)
@click.option("--from", "start", metavar="TIME", help="Only events received from here on: RFC 3339, or such as now-1d.")
@click.option("--to", "end", metavar="TIME", help="Only events received before.")
@click.option("--first-seq", type=EVENT, help="Only events from this one on: 42, or 1:42 in partition 1.")
@click.option("--last-seq", type=EVENT, help="Only events up to this one.")
@click.option("--version", type=click.IntRange(min=1), help="A saved version of the pipeline [the one that runs].")
@click.option("--resend", is_flag=True, help="Hand the new rows to downstream readers too, as new events.")
@click.option("--dry-run", is_flag=True, help="Say what would happen and change nothing.")
@click.option("--no-swap", is_flag=True, help="Rebuild and keep up to date; swap it in later with --swap.")
@click.option("--watch", is_flag=True, help="Follow the replay that is under way.")
@click.option("--swap", is_flag=True, help="Swap in what --no-swap has rebuilt.")
@click.option("--cancel", is_flag=True, help="End the replay under way; nothing has changed.")
@click.option("--undo", is_flag=True, help="Put the rows and the version of before back.")
@reaching
@located
@click.pass_context
def command(context: click.Context, /, pipeline: str | None, everything: bool, **options: Any) -> int:
    """Refine what Bronze holds again, for PIPELINE (its name or id), and swap the new rows in, in one step.

    The appliance must be running; the rows in use stay readable all the while. Interrupting this command (Ctrl-C)
    leaves the replay running. Answers 1 if a replay failed or was cancelled.
    """
    if (pipeline is None) == (not everything):
        raise click.UsageError("say which PIPELINE, or --all", context)
    options["deed"] = _deed(context, everything)
    settings = located_settings(options["data_dir"], options["config"]).settings
    with connected(settings, options["url"], options["token_file"]) as client:
        chosen = list(client.items("/pipelines")) if pipeline is None else [_named(client, pipeline)]
        return _Session(client, options).work(chosen)


def _deed(context: click.Context, everything: bool) -> str | None:
    """Return what to do with a replay there is; None: begin one. Raises UsageError: options exclude each other."""
    given = {str(one.name): one.opts[0] for one in context.command.params if _is_given(context, str(one.name))}
    deeds = [name for name in _DEEDS if name in given]
    others = deeds[1:] + [name for name in _WISHES if name in given]
    if deeds and others:
        told = f"{given[deeds[0]]} and {given[others[0]]} exclude each other: leave one of them out"
        raise click.UsageError(told, context)
    if everything and (single := [name for name in _OF_ONE if name in given]):
        raise click.UsageError(f"{given[single[0]]} is for one PIPELINE", context)
    return deeds[0] if deeds else None


def _is_given(context: click.Context, name: str) -> bool:
    return context.params.get(name) not in (None, False)


def _named(client: Client, wanted: str) -> dict[str, Any]:
    """Return the pipeline with this id or name. Raises NotFound."""
    names = []
    for one in client.items("/pipelines"):
        if wanted in (one["id"], one["name"]):
            return dict(one)
        names.append(one["name"])
    told = f"; there are: {', '.join(sorted(names))}" if names else ""
    raise NotFound(f"there is no pipeline {wanted!r}{told}")


class _Session:
    """One call of the command."""

    def __init__(self, client: Client, options: dict[str, Any]) -> None:
        self._client, self._options = client, options
        self._shown = Shown(quiet=options["as_json"])

    def work(self, pipelines: list[dict[str, Any]]) -> int:
        """Do what was asked for each of ``pipelines``; one that cannot be replayed does not stop the others."""
        answers, code = [], Exit.FINE
        for pipeline in pipelines:
            try:
                answer = self._one(pipeline)
            except DashError as error:
                if len(pipelines) == 1:
                    raise
                report(error, as_json=self._options["as_json"])
                code = Exit.FAILED
                continue
            answers.append(answer)
            if answer.get("state") in ("failed", "cancelled") and self._options["deed"] != "cancel":
                code = Exit.FAILED
        if self._options["as_json"]:
            say_json(answers if len(pipelines) != 1 else answers[0])
        return code

    def _one(self, pipeline: dict[str, Any]) -> dict[str, Any]:
        path, name = f"/pipelines/{quoted(pipeline['id'])}/replays", str(pipeline["name"])
        if self._options["dry_run"]:
            return self._plan(path, name)
        if self._options["deed"] in (None, "watch"):
            replay = self._begin(path) if self._options["deed"] is None else self._latest(path, name)
            return self._follow(f"{path}/{replay['id']}", name)
        replay = self._latest(path, name)
        one = f"{path}/{replay['id']}"
        self._client.post(f"{one}/{self._options['deed']}")
        return self._follow(one, name)

    def _begin(self, path: str) -> dict[str, Any]:
        return dict(self._client.post(path, self._wish() | {"swap": not self._options["no_swap"]}))

    def _wish(self) -> dict[str, Any]:
        given = {"from": self._options["start"], "to": self._options["end"]}
        given |= {name: self._options[name] for name in ("first_seq", "last_seq", "version")}
        given["resend"] = self._options["resend"] or None
        return {name: value for name, value in given.items() if value is not None}

    def _latest(self, path: str, name: str) -> dict[str, Any]:
        found = self._client.get(path, limit=1)["items"]
        if not found:
            raise NotFound(f"pipeline {name!r} has had no replay")
        return dict(found[0])

    def _follow(self, one: str, name: str) -> dict[str, Any]:
        """Show the replay until it has ended, or waits to be swapped in."""
        try:
            while True:
                replay = dict(self._client.get(one))
                waits = replay["state"] == "ready" and not replay["swap"]
                if replay["state"] in ENDS or waits:
                    self._shown.end(ending_of(name, replay))
                    return replay
                self._shown.show(name, replay)
                time.sleep(LOOK_EVERY_SECS)
        except KeyboardInterrupt:
            self._shown.end(
                f"{name}: the replay goes on; look with 'dash-appliance replay {name} --watch', "
                f"end it with 'dash-appliance replay {name} --cancel'"
            )
            raise

    def _plan(self, path: str, name: str) -> dict[str, Any]:
        plan = dict(self._client.post(path, self._wish() | {"dry_run": True}))
        about = f", about {duration(plan['secs'])}" if plan["secs"] is not None else ""
        columns = [f"{one['name']}: {one['before'] or '-'} → {one['after'] or '-'}" for one in plan["columns"]]
        lines = [f"{name}: {plan['events']:,} events by version {plan['version']}{about}"]
        lines += [f"  {plan['expired']:,} earlier events have expired from Bronze: their rows are kept"] * bool(
            plan["expired"]
        )
        lines += [f"  column {one}" for one in columns]
        self._shown.end("\n".join(lines))
        return plan
