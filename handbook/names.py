"""Names that pages use of the product, and whether the product has them: settings, commands, addresses, metrics …"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

import click

from appliance.api.problems import codes
from appliance.cli.exits import CannotCreate, Unavailable
from appliance.cli.main import commands
from appliance.domain.access import Action
from appliance.settings.declared import declared
from handbook.reference.api import routes
from handbook.reference.metrics import metrics
from handbook.sources import ROOT, Source

# What is written as code: only there a word with a dot or an underscore is a name.
_CODE: Final = re.compile(r"^```[^\n]*\n(.*?)^```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
_DOTTED: Final = re.compile(r"(?<![\w./$\"'-])([a-z]+)\.([a-z_]+)(?![\w(/.-])")
_VARIABLE: Final = re.compile(r"\bDASH_[A-Z][A-Z_]*\b")
_METRIC: Final = re.compile(r"\bdash_[a-z]+_[a-z_]+\b|\bdash_replays\b")
_CODE_NAME: Final = re.compile(r"\bE_[A-Z_]+\b")
_ADDRESS: Final = re.compile(
    r"(?:\b(GET|POST|PUT|DELETE) )?(?<![\w.])(/(?:api/v1|livez|readyz|healthz|metrics|in)\b[^\s`'\"?#,;)]*)"
)
_PLACEHOLDER: Final = re.compile(r"\$\{?\w+\}?|\{\w+\}|<[\w -]+>|…")
_COMMAND: Final = re.compile(r"(?:^|[\s(|'`])(?:dash-appliance|-m appliance) ([a-z][^\n|;`]*)")
_QUOTED: Final = re.compile(r"[\"'`]([a-z]+\.[a-z_]+)[\"'`]")  # what the code calls jobs, log entries, permissions
# Variables that examples set for themselves, for curl.
_OF_EXAMPLES: Final = frozenset({"DASH_TOKEN"})


class Stale(NamedTuple):
    """A name that the product does not have; ``what``: which kind it looks like."""

    path: str
    what: str
    name: str


def stale(page: Source) -> Iterator[Stale]:
    """Yield every name of the page that is not, or is no longer, a name in the product."""
    for code in code_of(page.text):
        for what, names in (
            ("setting or permission", _dotted(code)),
            ("environment variable", set(_VARIABLE.findall(code)) - variables() - _OF_EXAMPLES),
            ("metric", {one for one in _METRIC.findall(code) if not _is_metric(one)}),
            ("error code", set(_CODE_NAME.findall(code)) - error_codes()),
            ("address", {" ".join(one).strip() for one in _ADDRESS.findall(code) if not _is_address(*one)}),
            ("command", set(_commands(code))),
        ):
            yield from (Stale(page.path, what, name) for name in sorted(names))


def code_of(text: str) -> Iterator[str]:
    """Yield what a page shows as code: blocks, and words in backticks."""
    for block, word in _CODE.findall(text):
        yield block or word


@cache
def variables() -> frozenset[str]:
    """Return the variables of settings, and those that installing and building look at."""
    scripts = (path for folder in ("packaging", "installer") for path in (ROOT / folder).rglob("*") if path.is_file())
    beside = {name for path in scripts for name in _VARIABLE.findall(path.read_text("utf-8", "replace"))}
    return frozenset({one.variable for one in declared()} | beside)


@cache
def error_codes() -> frozenset[str]:
    """Return the codes of answers, and those that only commands print."""
    return frozenset(codes() | {CannotCreate.code, Unavailable.code})


@cache
def _dotted_names() -> frozenset[str]:
    quoted = {
        name
        for folder in ("appliance", "ui", "license")
        for path in (ROOT / folder).rglob("*.py")
        for name in _QUOTED.findall(path.read_text("utf-8"))
    }
    return frozenset({one.key for one in declared()} | quoted)


@cache
def _sections() -> frozenset[str]:
    return frozenset(one.section for one in declared()) | {one.value.partition(".")[0] for one in Action}


def _dotted(code: str) -> set[str]:
    found = {
        f"{section}.{name}"
        for section, name in _DOTTED.findall(code)
        if section in _sections() and not (ROOT / section / f"{name}.py").exists()  # a module, run by -m
    }
    return {one for one in found - _dotted_names() if one.rpartition(".")[2] not in _ENDINGS}


# Files and hosts that begin like a section: "archive.py", "control.sqlite3".
_ENDINGS: Final = frozenset({"py", "md", "json", "toml", "key", "id", "sealed", "elsewhere", "jsonl", "csv", "example"})


@cache
def _metrics() -> frozenset[str]:
    return frozenset(one.name for one in metrics())


def _is_metric(name: str) -> bool:
    known = _metrics()
    base = re.sub(r"_(?:bucket|sum|count)$", "", name)
    return name in known or base in known or (name.endswith("_") and any(one.startswith(name) for one in known))


@cache
def _routes() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return method and parts of the path of everything that answers."""
    beside = [("POST", "/in/{pipeline_id}"), ("GET", "/api/v1/feed")]
    found = [(route.method, route.path) for route in routes()] + [("GET", path) for path in _PLAIN] + beside
    return tuple((method, tuple(path.strip("/").split("/"))) for method, path in found)


_PLAIN: Final = ("/livez", "/readyz", "/healthz", "/metrics")


def _is_address(method: str, written: str) -> bool:
    """Return whether the product answers there, or below; what stands for a value matches any part.

    With a method it has to be the very path.
    """
    parts = written.rstrip("./…*").strip("/").split("/")
    if parts in (["api", "v1"], ["in"]):
        return True
    return any(
        _matches(parts, route) and (not method or (method == known and len(parts) == len(route)))
        for known, route in _routes()
    )


def _matches(parts: list[str], route: tuple[str, ...]) -> bool:
    """Compare part by part; ``pause|resume`` in a page means either."""
    if len(parts) > len(route):
        return False
    for part, known in zip(parts, route, strict=False):
        if known.startswith("{") or _PLACEHOLDER.fullmatch(part):
            continue
        if known not in part.split("|"):
            return False
    return True


def _commands(code: str) -> Iterator[str]:
    """Yield commands and options that there are not."""
    for line in _COMMAND.findall(code.replace("\\\n", " ")):
        words = line.removeprefix("dash-appliance ").split()  # the user of that name, before the program
        command: click.Command | None = commands
        name = ""
        while isinstance(command, click.Group) and words and re.fullmatch(r"[a-z][a-z-]*", words[0]):
            name = f"{name} {words[0]}".strip()
            command = command.get_command(click.Context(command), words.pop(0))
        if command is None:
            yield name
            continue
        options = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}
        for word in words:
            option = word.strip("[]().,'\"").partition("=")[0]
            if option.startswith("--") and option not in options and option not in _BEFORE:
                yield f"{name} {option}"


_BEFORE: Final = frozenset({"--extract-to"})  # of the self-extracting file, not of a command
