"""``dash-appliance serve``: own the data directory, then run until a signal says stop."""

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from appliance.cli.answer import located_settings
from appliance.cli.data_dir import owned
from appliance.cli.exits import Exit, Unavailable
from appliance.cli.keys import ring_of_keys
from appliance.cli.main import located
from appliance.errors import ConfigError, Problem
from appliance.settings import NodeRole, Settings
from appliance.settings.environment import supervision

if TYPE_CHECKING:
    from appliance.observe.service_manager import ServiceManager

SETTLED_SECS: Final = 2.0  # after ready: what starting needed is over


@click.command("serve", short_help="Run Dash.")
@click.option("--host", metavar="ADDRESS", help="Address to listen on [127.0.0.1].")
@click.option("--port", metavar="PORT", help="Port to listen on [8080]; 0 takes a free one.")
@click.option("--role", type=click.Choice([role.value for role in NodeRole]), help="What this process does [all].")
@located
def command(**options: Any) -> int:
    """Run Dash until SIGTERM or SIGINT; print one line 'ready http://…' on standard output when it takes requests.

    SIGHUP reads the settings again; log.level and egress.allow change at once, the others at the next start.
    """
    settings = _settings(options)
    # Before anything else is imported: what libraries log while they are imported comes out the same way.
    from appliance.observe import logs

    level = "debug" if options["debug"] else settings.log.level.value
    logs.configure(level, "json" if options["as_json"] else settings.log.format.value)
    with owned(settings.server.data_dir):
        settings = with_port(settings)
        from appliance import compose
        from appliance.observe.service_manager import ServiceManager

        service = ServiceManager(*supervision())
        again = compose.serve(
            settings, ready=_ready(service), service=service, reread=lambda: _settings(options), ring=ring_of_keys()
        )
    if again:
        _start_again(settings.server.port)
    return Exit.FINE


def with_port(settings: Settings) -> Settings:
    """Return the settings with a port that is free now; port 0 becomes a free one.

    Raises:
        Unavailable: somebody else listens there.
        ConfigError: the address is not one of this machine, or the port needs a privilege.
    """
    host, port = settings.server.host, settings.server.port
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            free = int(probe.getsockname()[1])
    except OSError as error:
        raise _not_free(error, host, port) from error
    return msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, port=free))


def _not_free(error: OSError, host: str, port: int) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return Unavailable(
            f"listening on {host} port {port}: another program uses that port; "
            f"stop it (ss -ltnp 'sport = :{port}' names it) or choose another with --port"
        )
    if error.errno == errno.EACCES:
        problem = Problem(
            "server.port",
            f"this user may not listen on port {port}",
            "choose one above 1023, or give CAP_NET_BIND_SERVICE",
        )
    else:
        problem = Problem(
            "server.host", f"cannot listen on {host!r}: {error.strerror}", "use an address of this machine"
        )
    return ConfigError([problem])


def _settings(options: dict[str, Any]) -> Settings:
    return located_settings(
        options["data_dir"],
        options["config"],
        {f"server.{name}": options[name] for name in ("host", "port", "role")},
    ).settings


def _start_again(port: int) -> None:
    """Become a fresh process with the same pid, flags and port, so that whoever watches this one sees no end."""
    sys.stdout.flush()
    sys.stderr.flush()
    frozen = getattr(sys, "frozen", False)
    command = [sys.executable, *(sys.argv[1:] if frozen else sys.orig_argv[1:])]
    os.execv(sys.executable, [*command, "--port", str(port)])  # noqa: S606 - this very program


def _ready(service: "ServiceManager") -> Callable[[str], None]:
    from appliance.observe.memory import give_back_start

    def ready(url: str) -> None:
        click.echo(f"ready {url}")
        service.ready(f"ready {url}")
        asyncio.get_running_loop().call_later(SETTLED_SECS, give_back_start)

    return ready
