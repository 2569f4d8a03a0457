"""The command line: the list of commands, what they share, and the boundary where errors end."""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from appliance.cli.exits import Exit, report

# Literal, so that grep and the freezer see them: name -> module. The command in it is called ``command``.
COMMANDS: Final = {
    "serve": "appliance.cli.serve",
    "setup": "appliance.cli.setup",
    "check": "appliance.cli.check",
    "doctor": "appliance.cli.doctor",
    "verify": "appliance.cli.verify",
    "replay": "appliance.cli.replay",
    "archive": "appliance.cli.archive",
    "backup": "appliance.cli.backup",
    "restore": "appliance.cli.restore",
    "jobs": "appliance.cli.jobs",
    "node": "appliance.cli.node",
    "organisation": "appliance.cli.organisation",
    "user": "appliance.cli.user",
    "token": "appliance.cli.token",
    "config": "appliance.cli.config",
    "database": "appliance.cli.database",
    "license": "appliance.cli.license",
    "branding": "appliance.cli.branding",
    "maintenance": "appliance.cli.maintenance",
    "monitoring": "appliance.cli.monitoring",
    "support-bundle": "appliance.cli.support_bundle",
    "upgrade": "appliance.cli.upgrade",
    "rollback": "appliance.cli.rollback",
    "version": "appliance.cli.version",
}


class Commands(click.Group):
    """Imports a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = importlib.import_module(module).command
        return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def commands() -> None:
    """Dash: a log of what you receive, and everything derived from it.

    Settings come from flags, DASH_* variables, dash-appliance.toml and defaults, in this order; see 'config reference'.

    Exit codes: 0 fine, 1 failed, 2 usage, 69 unavailable, 70 bug, 73 cannot create, 75 try again, 78 configuration.
    """


def run(arguments: Sequence[str], program: str = "dash-appliance", ring: object = None) -> int:
    """Run one command and return its exit code. Nothing but SystemExit by the interpreter itself ends it otherwise.

    ``ring``: whose licences count (``license.keys.KeyRing``); without it, those that are pinned.
    """
    try:
        answer = commands.main(list(arguments), prog_name=program, standalone_mode=False, obj=ring)
        return answer if isinstance(answer, int) else Exit.FINE
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except BrokenPipeError:
        return _reader_has_gone()
    except Exception as error:  # noqa: BLE001 - the edge of the program: a person never sees a traceback unasked
        return report(error, as_json="--json" in arguments, debug="--debug" in arguments)


def _reader_has_gone() -> int:
    """``dash-appliance … | head`` is no failure; keep the interpreter from complaining at its own flush."""
    sys.stdout = open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115 - lives as long as the process
    return Exit.FINE


class Readable(click.Path):
    """A path that is there or not; one that this user may not read says who may."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            if os.path.exists(value) and not os.access(value, os.R_OK):
                from appliance.settings.load import AS_ROOT  # here, for '--help' is answered at once

                self.fail(f"{str(value)!r} cannot be read: {AS_ROOT}.", param, ctx)
            raise error


def located(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options by which every command finds its appliance, and how it speaks."""
    for option in (
        click.option("--debug", is_flag=True, help="Show where an error came from."),
        click.option("--json", "as_json", is_flag=True, help="Answer in JSON."),
        click.option("--config", metavar="FILE", type=Readable(), help="Settings file."),
        click.option("--data-dir", metavar="DIR", type=Readable(), help="Directory of everything Dash stores."),
    ):
        command = option(command)
    return command
