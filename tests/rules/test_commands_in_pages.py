"""What a page tells somebody to type is understood as it stands: commands, options, and how many words."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from appliance.cli.main import commands

WORDS = r"(?:sudo (?:-E |-u \S+ )?)?dash-appliance ([a-z].*)"
FENCED = re.compile(r"^ *```(?:sh)?\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
NAMED = re.compile(rf"`{WORDS.replace('.*', '[^`]*')}`")
ENDS = re.compile(r"\s+#.*|\s+[|>;&]+.*")  # a comment, or what another program makes of it


def printed(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each command, and whether it stands whole: within a sentence it may be a name alone."""
    for block in FENCED.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if found := re.match(WORDS, line.strip()):
                yield ENDS.sub("", found[1]), True
    yield from ((ENDS.sub("", one), False) for one in NAMED.findall(text))


def wrong(line: str, *, whole: bool) -> str | None:
    """Return why the program would not take ``line``; None: it would."""
    command: click.Command = commands
    context, words = click.Context(command), shlex.split(line)
    while isinstance(command, click.Group) and words:
        inner = command.get_command(context, words[0])
        if inner is None:
            return f"there is no command {words[0]!r}"
        command, words = inner, words[1:]
        context = click.Context(command, parent=context)
    try:
        if not isinstance(command, click.Group):
            command.make_context("x", words, context.parent)
    except click.exceptions.Exit:  # --help
        return None
    except click.UsageError as error:
        lacks = isinstance(error, click.MissingParameter) or "requires an argument" in error.format_message()
        return None if lacks and not whole else error.format_message()
    return None


def test_every_command_that_a_page_prints_is_understood(root: Path, files: list[Path]) -> None:
    pages = [file for file in files if file.match("docs/handbook/*.md") or file.name == "README.md"]
    found = [(str(page), *one) for page in pages for one in printed((root / page).read_text("utf-8"))]
    told = [(page, line, wrong(line, whole=whole)) for page, line, whole in found if "…" not in line]
    assert [one for one in told if one[2] is not None] == []
    assert len({line for _, line, _ in found}) > 60


@pytest.mark.parametrize("line", ["backup snapshots list", "verify --everything", "restore A B", "license simulate"])
def test_a_command_that_is_not_understood_is_found(line: str) -> None:
    """The control: a test that cannot fail proves nothing."""
    assert wrong(line, whole=True) is not None
