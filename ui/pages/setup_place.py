"""The first step of the set-up: where rows and settings live."""

from pathlib import Path
from typing import NamedTuple

from ui.markup import button, icon, node
from ui.widgets.form import password_field

GIB = 2**30
LITTLE = 10 * GIB
_LATER = (
    "It can be moved to a PostgreSQL later by 'dash-appliance database move'. Events are received meanwhile, and "
    "screens wait: about 30 s for each million rows."
)


class Disk(NamedTuple):
    """The file system of the data directory, in bytes."""

    folder: Path
    free: int
    total: int


def place_step(disk: Disk, database: str | None) -> None:
    """Draw the choice; ``database``: the one that the operator has set already, masked, so that nothing is chosen."""
    if database is not None:
        _settled(database)
    else:
        _choice()
        with node("div", css="stack", data_place="embedded"):
            _embedded(disk)
        with node("div", css="stack", data_place="postgresql", hidden=True):
            _postgresql()
    if disk.free < LITTLE:
        with node("div", css="callout warn"):
            icon("alert")
            text = "That is little room for events. Receiving stops before the disk is full; use another --data-dir."
            node("p", f"{disk.free / GIB:,.0f} GiB free. {text}")


def _settled(database: str) -> None:
    with node("div", css="callout"):
        icon("table")
        with node("div", css="grow"):
            node("b", "PostgreSQL")
            node("p", database, "muted")
    node(
        "p",
        "Accounts, settings and rows live in this database. Events stay in files of the node that receives them.",
        "muted",
    )


def _choice() -> None:
    with node("div", css="choices", role="radiogroup", aria_label="Where rows and settings live"):
        for value, glyph, title, text in (
            ("embedded", "disk", "On this machine", "Nothing else has to be installed."),
            ("postgresql", "table", "In your PostgreSQL", "With TimescaleDB or without, for one node or several."),
        ):
            with node("label", css="choice"):
                box = node("input", type="radio", name="place", value=value, data_local="")
                box.props[".checked"] = value == "embedded"
                icon(glyph)
                node("b", title)
                node("span", text)


def _embedded(disk: Disk) -> None:
    with node("dl", css="kv"):
        for term, text in (
            ("Directory", str(disk.folder)),
            ("Room", f"{disk.free / GIB:,.0f} GiB of {disk.total / GIB:,.0f} GiB free"),
            ("Events", "append-only files, checked by hash, exactly as received"),
            ("Rows", "one DuckDB file for each organisation"),
            ("Accounts", "SQLite; passwords only as argon2id hashes"),
        ):
            node("dt", term)
            node("dd", text)
    node("p", _LATER, "small faint")


def _postgresql() -> None:
    password_field(
        "dsn", "Database", hint="Such as postgresql://dash:password@db.example.org/dash?sslmode=verify-full",
        autocomplete="off", spellcheck="false", autocapitalize="off", maxlength=4096, data_local="",
    )  # fmt: skip
    with node("div", css="row"):
        button("Check", glyph="search", data_check="")
        node("span", "Looks and changes nothing.", "small faint")
    node("div", css="findings", data_findings="", aria_live="polite")
