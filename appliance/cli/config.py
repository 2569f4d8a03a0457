"""``dash-appliance config``: what is in force, and everything that can be set."""

import click

from appliance.cli.answer import located_settings, say_json
from appliance.cli.main import located
from appliance.observe.masking import mask
from appliance.settings.declared import declared
from appliance.settings.reference import effective, reference


@click.group("config", short_help="Show the settings in force, or all there are.")
def command() -> None:
    """Show the settings in force, or all there are."""


@command.command("show", short_help="Print every setting's value and where it comes from.")
@located
def show(data_dir: str | None, config: str | None, as_json: bool, debug: bool) -> None:
    """Print every setting's value and where it comes from: flag, variable, file and line, or default."""
    loaded = located_settings(data_dir, config)
    rows = [row | {"value": mask(row["key"].rpartition(".")[2], row["value"])} for row in effective(loaded)]
    if as_json:
        say_json({"file": str(loaded.file) if loaded.file else None, "settings": rows})
        return
    width = max(len(row["key"]) for row in rows)
    for row in rows:
        shown = row["value"] or "-"
        click.echo(f"{row['key']:<{width}}  {shown:<28}  {row['origin']}")


@command.command("reference", short_help="Print what every setting means.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def show_reference(as_json: bool) -> None:
    """Print every setting with meaning, default and bounds, as Markdown."""
    if not as_json:
        click.echo(reference(), nl=False)
        return
    say_json(
        [
            {
                "key": one.key,
                "variable": one.variable,
                "description": one.description,
                "least": one.least,
                "most": one.most,
                "choices": one.choices,
            }
            for one in declared()
        ]
    )
