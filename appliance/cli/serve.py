"""``dash-appliance serve``: own the data directory, then run until a signal says stop."""

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from appliance.cli.answer import located_settings
from appliance.cli.data_dir import owned
from appliance.cli.exits import Exit, Unavailable
from appliance.cli.keys import ring_of_keys
from appliance.cli.main import located
from appliance.errors import ConfigError, Problem
from appliance.settings import Loaded, NodeRole, Settings
from appliance.settings.environment import HANDED_OVER, handed_over, handing_over, supervision

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
    loaded = _loaded(options)
    settings = loaded.settings
    # Before anything else is imported: what libraries log while they are imported comes out the same way.
    from appliance.observe import logs

    level = "debug" if options["debug"] else settings.log.level.value
    logs.configure(level, "json" if options["as_json"] else settings.log.format.value)
    with owned(settings.server.data_dir, as_owner=False):  # whoever starts it says as whom
        if loaded.passed_over is not None:
            _warn_of_left(loaded.passed_over)
        port = taken_port(settings)
        settings = with_port(settings, port)
        from appliance.observe.memory import bound_arenas, choose_allocators

        bound_arenas()
        choose_allocators()
        from appliance import compose
        from appliance.life import Caller
        from appliance.observe.service_manager import ServiceManager

        service = ServiceManager(*supervision())
        caller = Caller(port, _ready(service), service, partial(_settings, options))
        again = compose.serve(settings, caller, ring_of_keys())
    if again:
        _start_again(port)
    return Exit.FINE


def _warn_of_left(named_by: str) -> None:
    import structlog

    told = "database.url names the database that this appliance was moved out of, and is passed over: remove it"
    structlog.get_logger("appliance").warning("database.left", named_by=named_by, reason=told)


def with_port(settings: Settings, port: socket.socket) -> Settings:
    """Return the settings with the port that was taken."""
    return msgspec.structs.replace(
        settings, server=msgspec.structs.replace(settings.server, port=int(port.getsockname()[1]))
    )


def taken_port(settings: Settings) -> socket.socket:
    """Return a socket bound where the settings say, which nobody can connect to yet; port 0 becomes a free one.

    A process that goes on with the port of another was given its socket.

    Raises:
        Unavailable: somebody else listens there.
        ConfigError: the address is not one of this machine, or the port needs a privilege.
    """
    host, port = settings.server.host, settings.server.port
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )[0]
        if (given := handed_over()) is not None:
            os.set_inheritable(given, False)
            return socket.socket(family, kind, fileno=given)
        taken = socket.socket(family, kind)
        try:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(address)
        except OSError:
            taken.close()
            raise
    except OSError as error:
        raise _not_free(error, host, port) from error
    return taken


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


def _loaded(options: dict[str, Any]) -> Loaded:
    return located_settings(
        options["data_dir"],
        options["config"],
        {f"server.{name}": options[name] for name in ("host", "port", "role")},
    )


def _settings(options: dict[str, Any]) -> Settings:
    return _loaded(options).settings


def _start_again(port: socket.socket) -> None:
    """Become a fresh process with the same pid, flags and port: who watches it sees no end, who connects waits."""
    sys.stdout.flush()
    sys.stderr.flush()
    frozen = getattr(sys, "frozen", False)
    command = [sys.executable, *(sys.argv[1:] if frozen else sys.orig_argv[1:])]
    number = port.getsockname()[1]
    if port.fileno() != HANDED_OVER:
        os.dup2(port.fileno(), HANDED_OVER)
    os.set_inheritable(HANDED_OVER, True)
    os.execve(sys.executable, [*command, "--port", str(number)], handing_over())  # noqa: S606 - this very program


def _ready(service: "ServiceManager") -> Callable[[str], None]:
    from appliance.observe.memory import give_back_start

    def ready(url: str) -> None:
        click.echo(f"ready {url}")
        service.ready(f"ready {url}")
        asyncio.get_running_loop().call_later(SETTLED_SECS, give_back_start)

    return ready
