"""The set-up wizard: administrator, organisation, storage, sample workspace; then straight to a live dashboard."""

import asyncio
import shutil
from pathlib import Path

from starlette.requests import Request

from ui.markup import button, icon, node
from ui.screens import Screens
from ui.widgets.form import password_field, text_field

STEPS = ("Administrator", "Organisation", "Storage", "Start")


def register(screens: Screens) -> None:
    """Register ``/setup``."""

    @screens.open_page("/setup", "Set up", before_setup=True)
    async def setup(_: Request) -> None:
        free, total = await asyncio.to_thread(_disk, screens.data_dir)
        with node("form", css="sheet wide", data_live="setup", action="/ui/setup", method="post"):
            with node("ol", css="steps", aria_label="Steps"):
                for name in STEPS:
                    node("li", name)
            node("div", "", "form-error", role="alert")
            _administrator()
            _organisation()
            _storage(screens.data_dir, free, total)
            _start()


def _disk(path: Path) -> tuple[int, int]:
    """Return (free, total) bytes of the file system that ``path`` is or will be on; blocking."""
    while not path.exists():
        path = path.parent
    usage = shutil.disk_usage(path)
    return usage.free, usage.total


def _heading(title: str, lead: str) -> None:
    node("h1", title)
    node("p", lead, "muted")


def _foot(*, first: bool = False) -> None:
    with node("div", css="row spread"):
        if first:
            node("span")
        else:
            button("Back", "ghost", data_back="")
        button("Continue", "primary", data_next="")


def _administrator() -> None:
    with node("div", css="step"):
        _heading("Welcome to Dash", "First the administrator: the person who may do everything here.")
        text_field(
            "admin_email", "E-mail address", type="email", autocomplete="username", required=True, autofocus=True,
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
        _foot(first=True)


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


def _storage(data_dir: Path, free: int, total: int) -> None:
    gib = 2**30
    with node("div", css="step", tabindex="-1"):
        _heading("Storage", "Everything is kept on this machine; nothing has to be installed beside Dash.")
        with node("div", css="callout"):
            icon("disk")
            with node("div", css="grow"):
                node("b", "Embedded storage")
                node("p", f"{free / gib:,.0f} GiB of {total / gib:,.0f} GiB free", "muted")
        with node("dl", css="kv"):
            for term, text in (
                ("Directory", str(data_dir)),
                ("Events", "append-only files, checked by hash, exactly as received"),
                ("Rows", "one DuckDB file for each organisation"),
                ("Accounts", "SQLite; passwords only as argon2id hashes"),
            ):
                node("dt", term)
                node("dd", text)
        if free < 10 * gib:
            with node("div", css="callout warn"):
                icon("alert")
                node(
                    "p",
                    "That is little room. Dash stops receiving before the disk is full; point --data-dir elsewhere.",
                )
        _foot()


def _start() -> None:
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
            button("Set up Dash", "primary", type="submit")


def _choice(value: str, glyph: str, title: str, text: str, chosen: bool) -> None:
    with node("label", css="choice"):
        box = node("input", type="radio", name="sample", value=value, data_as="boolean")
        box.props[".checked"] = chosen
        icon(glyph)
        node("b", title)
        node("span", text)
