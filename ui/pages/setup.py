"""The set-up wizard: storage, administrator, organisation, sample workspace; then straight to a live dashboard.

Storage comes first: choosing a database starts Dash again, and nothing that was typed may be lost by that.
"""

import asyncio
import shutil
from pathlib import Path

from starlette.requests import Request

from ui.markup import button, icon, node
from ui.pages.setup_place import Disk, place_step
from ui.screens import Screens
from ui.widgets.form import password_field, text_field

STEPS = ("Storage", "Administrator", "Organisation", "Start")


def register(screens: Screens) -> None:
    """Register ``/setup``."""

    @screens.open_page("/setup", "Set up", before_setup=True)
    async def setup(_: Request) -> None:
        disk = await asyncio.to_thread(_disk, screens.data_dir)
        with node("form", css="sheet wide", data_live="setup", action="/ui/setup", method="post"):
            with node("ol", css="steps", aria_label="Steps"):
                for name in STEPS:
                    node("li", name)
            node("div", "", "form-error", role="alert")
            product = screens.services.branding.now().name
            _storage(disk, screens.services.databases.current(), product)
            _administrator()
            _organisation()
            _start(product)


def _disk(folder: Path) -> Disk:
    """Return the file system that ``folder`` is or will be on; blocking."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    usage = shutil.disk_usage(place)
    return Disk(folder, usage.free, usage.used + usage.free)  # as df counts, and the page Storage


def _heading(title: str, lead: str) -> None:
    node("h1", title)
    node("p", lead, "muted")


def _foot(*, first: bool = False) -> None:
    with node("div", css="row spread"):
        if first:
            node("span")
        else:
            button("Back", "ghost", data_back="")
        button("Continue", "primary", data_next="", autofocus=first)


def _storage(disk: Disk, database: str | None, product: str) -> None:
    with node("div", css="step", tabindex="-1"):
        _heading(
            f"Welcome to {product}", "First: where rows and settings live. Events are always kept in files of its own."
        )
        place_step(disk, database)
        _foot(first=True)


def _administrator() -> None:
    with node("div", css="step"):
        _heading("The administrator", "The person who may do everything here.")
        text_field(
            "admin_email", "E-mail address", type="email", autocomplete="username", required=True,
            maxlength=254, hint="What you will sign in with. Nothing is sent to it.",
        )  # fmt: skip
        with node("div", css="stack tight"):
            password_field(
                "admin_password", "Password", autocomplete="new-password", required=True, minlength=12, data_strength=""
            )
            with node("div", css="strength", aria_hidden="true"):
                for _ in range(4):
                    node("i")
            hint = "At least 12 characters; several words make a good one."
            node("span", hint, "small faint", data_strength_text="", data_default=hint, aria_live="polite")
        _foot()


def _organisation() -> None:
    with node("div", css="step"):
        _heading("Your organisation", "Pipelines, people and data belong to it.")
        text_field(
            "organisation",
            "Name",
            required=True,
            maxlength=100,
            autocomplete="organization",
            placeholder="Example Works",
        )
        _foot()


def _start(product: str) -> None:
    with node("div", css="step"):
        _heading("Ready to start", "With the sample workspace you see live data of this machine in a moment.")
        with node("div", css="choices", role="radiogroup", aria_label="Sample workspace"):
            _choice("true", "spark", "Sample workspace", "A live dashboard of this host and a webhook to try.", True)
            _choice("false", "plus", "Start empty", "You create the first pipeline yourself.", False)
        with node("dl", css="kv"):
            for term, name in (("Administrator", "admin_email"), ("Organisation", "organisation")):
                node("dt", term)
                node("dd", "", data_review=name)
        with node("div", css="row spread"):
            button("Back", "ghost", data_back="")
            button(f"Set up {product}", "primary", type="submit")


def _choice(value: str, glyph: str, title: str, text: str, chosen: bool) -> None:
    with node("label", css="choice"):
        box = node("input", type="radio", name="sample", value=value, data_as="boolean")
        box.props[".checked"] = chosen
        icon(glyph)
        node("b", title)
        node("span", text)
