"""``dash-appliance branding``: what the appliance is called and looks like."""

from pathlib import Path
from typing import Any, Final

import click

from appliance.cli.answer import say_json
from appliance.cli.asking import asked
from appliance.cli.client import reaching
from appliance.cli.exits import CannotCreate, Exit
from appliance.cli.main import located
from appliance.cli.table import table

_WORDS: Final = ("name", "accent", "powered_by", "name_beside_logo")
_PICTURES: Final = ("logo", "logo_dark", "favicon")
_MOST_BYTES: Final = 1 << 20  # more is not sent: the appliance takes 256 KiB, and says how much it got


@click.group("branding", short_help="See and change what the appliance is called and looks like.")
def command() -> None:
    """See and change name, colour, logo and help line of a running appliance.

    Changing needs a licence that names white_label. What was set stays when the licence has ended, and can be reset.
    """


@command.command("show", short_help="Show what is set.")
@reaching
@located
def show(**options: Any) -> int:
    """Show what the appliance is called, its colour, who helps, and which pictures it has."""
    with asked(options) as client:
        return _tell(client.get("/branding"), options)


@command.command("set", short_help="Change some of it.")
@click.option("--name", metavar="TEXT", help="Shown instead of Dash; '': Dash.")
@click.option("--accent", metavar="COLOUR", help="Of buttons and links, such as #0b6e4f; '': that of Dash.")
@click.option("--support", metavar="TEXT", help="Who helps, one line; '': nobody is named.")
@click.option("--support-link", metavar="URL", help="Where that leads: https: or mailto:.")
@click.option("--powered-by/--no-powered-by", default=None, help="Whether screens say that this is Dash.")
@click.option("--name-beside-logo/--no-name-beside-logo", default=None, help="No: the logo holds the name.")
@click.option("--logo", metavar="FILE", help="PNG or SVG, at most 256 KiB.")
@click.option("--logo-dark", metavar="FILE", help="The same for the dark theme.")
@click.option("--favicon", metavar="FILE", help="PNG, SVG or ICO, for the browser's tab.")
@reaching
@located
def set_(**options: Any) -> int:
    """Change what is given, and leave the rest as it is."""
    pictures = {kind: _read(options[kind]) for kind in _PICTURES if options[kind] is not None}
    given = [name for name in (*_WORDS, "support", "support_link") if options[name] is not None]
    if not given and not pictures:
        raise click.UsageError("nothing is given to be changed: name an option, such as --name")
    with asked(options) as client:
        answer = client.get("/branding")
        if given:
            answer = client.put("/branding", _words(answer, options))
        for kind, data in pictures.items():
            answer = client.upload(f"/branding/{kind}", data)
        return _tell(answer, options)


@command.command("reset", short_help="Be Dash again, in everything.")
@reaching
@located
def reset(**options: Any) -> int:
    """Take name, colour, help line and pictures away. No licence is needed for that."""
    with asked(options) as client:
        client.delete("/branding")
        return _tell(client.get("/branding"), options)


def _words(before: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return all words: those given, and the others as they are."""
    words = {name: before[name] if options[name] is None else options[name] for name in _WORDS}
    told = before["support"] or {"text": "", "link": None}
    text = told["text"] if options["support"] is None else options["support"]
    link = told["link"] if options["support_link"] is None else options["support_link"]
    nobody = options["support"] == "" and options["support_link"] is None
    return words | {"support": None if nobody else {"text": text, "link": link}}


def _read(file: str) -> bytes:
    try:
        with Path(file).open("rb") as found:
            return found.read(_MOST_BYTES)
    except OSError as error:
        raise CannotCreate(f"the file {file!r} cannot be read: {error.strerror}") from error


def _tell(answer: dict[str, Any], options: dict[str, Any]) -> int:
    if options["as_json"]:
        say_json(answer)
        return Exit.FINE
    helps = answer["support"] or {"text": "nobody is named", "link": None}
    pictures = [kind for kind in _PICTURES if answer[kind]]
    rows = [
        ("name", answer["name"]),
        ("accent", answer["accent"] or "that of Dash"),
        ("support", f"{helps['text']} ({helps['link']})" if helps["link"] else helps["text"]),
        ("powered by", "shown" if answer["powered_by"] else "not shown"),
        ("name beside logo", "yes" if answer["name_beside_logo"] else "no"),
        ("pictures", ", ".join(pictures) or "none"),
    ]
    table(("WHAT", "IS"), rows, nothing="nothing is known")
    return Exit.FINE
