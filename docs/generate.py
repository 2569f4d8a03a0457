"""Write the pages of docs/reference/ that come from the code; with --check, only say whether they differ."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

HERE = Path(__file__).parent / "reference"
sys.path.insert(0, str(HERE.parent.parent))

from appliance.cli.main import commands  # noqa: E402 - the checkout is found first
from appliance.settings.reference import reference  # noqa: E402
from docs import licence_page  # noqa: E402
from handbook.reference import alerts, api, metrics, permissions  # noqa: E402

_CLI_HEAD = """# Commands

Generated from the commands by `make docs`; `dash-appliance COMMAND --help` prints the same.

`--json` makes a command answer in JSON on standard output; `--debug` shows where an error came from.
Exit codes: 0 fine, 1 failed, 2 usage, 69 unavailable, 70 bug, 73 cannot create, 75 try again, 78 configuration.
"""


def pages() -> dict[str, str]:
    """Return every generated page by file name."""
    return {
        "settings.md": reference(),
        "cli.md": _CLI_HEAD + "".join(_entries(commands, "dash-appliance")),
        "licence.md": licence_page.page(),
        "alerts.md": alerts.page(),
        "api.md": api.page(),
        "metrics.md": metrics.page(),
        "permissions.md": permissions.page(),
    }


def _entries(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(command, info_name=path, max_content_width=100, terminal_width=100)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if (inner := command.get_command(context, name)) is not None:
                yield from _entries(inner, f"{path} {name}")
    else:
        yield f"\n## {path}\n\n```\n{command.get_help(context)}\n```\n"


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them; return the exit code."""
    stale = []
    for name, text in pages().items():
        path = HERE / name
        if "--check" not in arguments:
            path.write_text(text, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != text:
            stale.append(str(path.relative_to(HERE.parent.parent)))
    if stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run 'make docs' and commit what it writes\n")
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
