"""What the commands ``upgrade`` and ``rollback`` have in common: where they work, on what, and how they tell of it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from appliance.cli.answer import say_json
from appliance.cli.data_dir import owner
from appliance.cli.exits import Exit
from appliance.errors import ConfigError, Conflict, DashError, Problem

if TYPE_CHECKING:
    from appliance.domain.upgrade import Outcome
    from appliance.settings import Settings
    from appliance.upgrading.course import Course, Data, Step
    from appliance.upgrading.releases import Releases
    from appliance.upgrading.service import Service

HOME: Final = Path("/opt/dash-appliance")
UNIT_FILE: Final = Path("/etc/systemd/system/dash-appliance.service")


def where(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that both have."""
    for option in (
        click.option("--health-timeout", metavar="SECS", type=click.FloatRange(5, 3600), default=180, show_default=True,
                     help="Within which it has to be well after its start."),
        click.option("--program", metavar="DIR", type=click.Path(), default=str(HOME), show_default=True,
                     help="Where releases lie."),
    ):  # fmt: skip
        command = option(command)
    return command


def course_of(settings: "Settings", options: dict[str, Any]) -> tuple["Course", "Releases", "Data"]:
    """Return what carries an upgrade out, the releases, and the data.

    Raises:
        ConfigError: there are no data, or nothing runs on them.
    """
    from appliance.placing import ELSEWHERE
    from appliance.upgrading.course import Course, Data
    from appliance.upgrading.health import Gate
    from appliance.upgrading.service import Process

    releases, data_dir = releases_of(options), settings.server.data_dir
    if not data_dir.is_dir():
        raise ConfigError([Problem("server.data_dir", f"there is no {data_dir}", "say --data-dir, as for serve")])
    config = Path(options["config"]) if options["config"] else None
    # The database may be known to the service alone, by a credential: the mark beside the data tells of it too.
    embedded = settings.database.url is None and not (data_dir / ELSEWHERE).exists()
    data = Data(data_dir, config, data_dir.stat().st_uid, embedded)
    service = _service(settings, releases, may_stand=bool(options.get("resume")))
    port = service.port if isinstance(service, Process) and service.port else settings.server.port
    gate = Gate(msgspec.structs.replace(settings.server, port=port), options["health_timeout"])
    said = (lambda step, about: None) if options["as_json"] else _say
    return Course(releases, service, data, gate, said), releases, data


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Be the one that exchanges releases in ``home``. Raises Conflict: another one is at it."""
    from appliance.upgrading.undisturbed import alone as held

    if not os.access(home, os.W_OK):
        told = f"uid {os.getuid()} may not exchange what is in {home}"
        raise ConfigError([Problem("--program", told, "run it as root: sudo dash-appliance …")])
    with held(home):
        yield


def kept(releases: "Releases", after: str, act: Callable[[], "Outcome"]) -> "Outcome":
    """Do it, and let everybody see what it came to, whatever that is."""
    from appliance.domain.upgrade import Outcome

    before = releases.current
    try:
        outcome = act()
    except DashError as error:
        releases.keep(Outcome(before, after, str(error)))
        raise
    releases.keep(outcome)
    return outcome


def releases_of(options: dict[str, Any]) -> "Releases":
    from appliance.upgrading.releases import Releases

    return Releases(Path(options["program"]))


def _service(settings: "Settings", releases: "Releases", *, may_stand: bool) -> "Service":
    from appliance.upgrading.service import Process, Standing, Systemd

    if UNIT_FILE.exists() and releases.home == HOME and Path("/run/systemd/system").is_dir():
        return Systemd()
    pid = owner(settings.server.data_dir)
    if not pid and may_stand:
        return Standing()
    if not pid:
        told = f"no appliance runs on {settings.server.data_dir}"
        raise ConfigError([Problem("--data-dir", told, "start it: whether a release is well shows only while it runs")])
    if os.stat(f"/proc/{pid}").st_uid != settings.server.data_dir.stat().st_uid:
        # Whoever owns the data says in them which process it is: that must not lead to one of somebody else's.
        raise Conflict(
            f"process {pid}, which says that it owns {settings.server.data_dir}, runs as another user than that "
            "directory belongs to: start it as the owner of its data"
        )
    return Process(pid, releases.home / "current" / "dash-appliance", releases.home / "upgrade.log")


def _say(step: "Step", about: str) -> None:
    click.echo(f"{step.value:<9} {about}")


def told(outcome: "Outcome", *, as_json: bool) -> int:
    """Print how it went and return the exit code."""
    if as_json:
        say_json(outcome)
    elif outcome.trouble is None:
        click.echo(
            f"{outcome.after} is in use" + (f"; snapshot {outcome.snapshot} is kept" if outcome.snapshot else "")
        )
    else:
        click.echo(f"went back to {outcome.before}: {outcome.trouble}", err=True)
    return Exit.FINE if outcome.trouble is None else Exit.FAILED
