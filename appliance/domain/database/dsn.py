"""Names a PostgreSQL database as libpq does: a URL or keywords, several hosts allowed. A password is never shown."""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import quote

MASK: Final = "********"
SOCKETS: Final = "/var/run/postgresql"  # where distributions put the socket; the bundled libpq would look in /tmp
PORT: Final = 5432
EXAMPLE: Final = "postgresql://dash@db.example.org/dash"

_SCHEMES: Final = ("postgresql://", "postgres://")
_SECRET: Final = frozenset({"password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"})
_CHOICES: Final = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
_KNOWN: Final = _SECRET | set(_CHOICES) | {
    "user", "dbname", "host", "hostaddr", "port", "passfile", "channel_binding", "connect_timeout", "client_encoding",
    "options", "application_name", "fallback_application_name", "keepalives", "keepalives_idle",
    "keepalives_interval", "keepalives_count", "tcp_user_timeout", "sslnegotiation", "sslcert", "sslkey",
    "sslcertmode", "sslrootcert", "sslcrl", "sslcrldir", "sslsni", "requirepeer", "require_auth",
    "ssl_min_protocol_version", "ssl_max_protocol_version", "gssencmode", "krbsrvname", "gsslib", "gssdelegation",
    "load_balance_hosts",
}  # fmt: skip
_ENCODE: Final = "percent-encode what is not a letter or digit in user and password: '@' as %40, '/' as %2F, '%' as %25"


class Endpoint(NamedTuple):
    """One server. ``host``: a name, an address, or the directory of a socket, which begins with ``/``."""

    host: str
    port: int

    @property
    def is_socket(self) -> bool:
        return self.host.startswith("/")

    def __str__(self) -> str:
        if self.is_socket:
            return f"the socket {self.host}/.s.PGSQL.{self.port}"
        return f"{self.host} port {self.port}"


class Dsn:
    """Parameters by libpq's names. ``str`` and ``repr`` mask what is secret; only ``reveal`` and ``text`` tell it."""

    __slots__ = ("_parameters",)

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = dict(parameters)

    @classmethod
    def parse(cls, text: str) -> "Dsn":
        """Return the database that ``text`` names.

        Raises:
            ValueError: libpq would not take it, or it names no database; the message quotes nothing that may be secret.

        Source: "Connection Strings" in the documentation of libpq.
        """
        text = text.strip()
        if text.startswith(_SCHEMES):
            parameters = dict(_of_url(text.partition("://")[2]))
        elif "=" in text and "://" not in text.partition("=")[0]:
            parameters = dict(_of_keywords(text))
        else:
            raise ValueError(f"expected a database such as '{EXAMPLE}' or 'host=db.example.org dbname=dash user=dash'")
        _check(parameters)
        return cls(parameters)

    @property
    def endpoints(self) -> list[Endpoint]:
        """The servers, in the order in which they are tried."""
        hosts = (self._parameters.get("host") or self._parameters.get("hostaddr") or SOCKETS).split(",")
        ports = self._parameters.get("port", str(PORT)).split(",")
        return [
            Endpoint(host or SOCKETS, int(port or PORT))
            for host, port in zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=False)
        ]

    @property
    def database(self) -> str:
        return self._parameters["dbname"]

    @property
    def user(self) -> str | None:
        """None: that of this process."""
        return self._parameters.get("user")

    def get(self, name: str) -> str | None:
        """Return a parameter that is no secret."""
        return None if name in _SECRET else self._parameters.get(name)

    @property
    def secrets(self) -> list[str]:
        """Return what must never be shown."""
        return [value for name, value in self._parameters.items() if name in _SECRET]

    def has_password(self) -> bool:
        return "password" in self._parameters

    def replaced(self, **parameters: str) -> "Dsn":
        """Return this one with other parameters in place of its own."""
        return Dsn({**self._parameters, **parameters})

    def reveal(self) -> dict[str, str]:
        """Return every parameter, secrets included, for the driver alone."""
        named = {"host": ",".join(one.host for one in self.endpoints)} if "hostaddr" not in self._parameters else {}
        return {**self._parameters, **named}

    def text(self) -> str:
        """Return it as URL, secrets included, for a file that only its owner reads."""
        return self._url(masked=False)

    def _url(self, *, masked: bool) -> str:
        shown = {key: MASK if masked and key in _SECRET else value for key, value in self._parameters.items()}
        user, password = shown.pop("user", ""), shown.pop("password", None)
        login = quote(user, "") + ("" if password is None else ":" + (MASK if masked else quote(password, "")))
        place = self._parameters.get("host", "")
        inline = bool(place) and not any(part.startswith("/") for part in place.split(","))
        where = ""
        if inline:
            given = "port" in shown
            where = ",".join(_bracketed(one, with_port=given) for one in self.endpoints)
            del shown["host"]
            shown.pop("port", None)
        database = shown.pop("dbname")
        query = "&".join(f"{key}={quote(value, MASK + '/,:')}" for key, value in shown.items())
        return f"postgresql://{login}{'@' if login else ''}{where}/{quote(database, '')}{'?' if query else ''}{query}"

    def __str__(self) -> str:
        return self._url(masked=True)

    def __repr__(self) -> str:
        return f"Dsn({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dsn) and self._parameters == other._parameters

    def __hash__(self) -> int:
        return hash(frozenset(self._parameters.items()))


def _bracketed(one: Endpoint, *, with_port: bool) -> str:
    host = f"[{one.host}]" if ":" in one.host else quote(one.host, "")
    return f"{host}:{one.port}" if with_port else host


def _of_url(rest: str) -> Iterator[tuple[str, str]]:
    """Yield the parameters of what follows ``postgresql://``, as libpq's ``conninfo_uri_parse_options`` reads it."""
    head, _, query = rest.partition("?")
    place, slash, database = head.partition("/")
    if place.count("@") > 1 or "@" in database or place.count("[") != place.count("]"):
        raise ValueError(f"the address cannot be taken apart: {_ENCODE}")
    login, at, hosts = place.rpartition("@")
    if at:
        user, colon, password = login.partition(":")
        yield from [("user", _decoded(user))] * bool(user)
        yield from [("password", _decoded(password))] * bool(colon)
    yield from _of_hosts(hosts)
    if slash and database:
        yield "dbname", _decoded(database)
    for pair in query.split("&") if query else ():
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError("what follows '?' is to be name=value, several of them joined by '&'")
        yield from [("sslmode", "require")] if (name, value) == ("ssl", "true") else [(_decoded(name), _decoded(value))]


def _of_hosts(text: str) -> Iterator[tuple[str, str]]:
    if not text:
        return
    hosts, ports = [], []
    for part in text.split(","):
        found = re.fullmatch(r"(?:\[(?P<v6>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>.*))?", part)
        if found is None:
            raise ValueError(f"a host cannot be read: an IPv6 address stands in brackets, and {_ENCODE}")
        hosts.append(found["v6"] if found["name"] is None else _decoded(found["name"]))
        ports.append(found["port"] or "")
    if any(hosts):
        yield "host", ",".join(hosts)
    if any(ports):
        yield "port", ",".join(ports)


def _decoded(text: str) -> str:
    """Undo percent-encoding, strictly: libpq refuses what ``urllib`` would let pass, and trims spaces."""
    text = text.strip(" \t\n\v\f\r")
    if re.search(r"\s", text):
        raise ValueError(f"there is a space in the address: {_ENCODE}")
    if re.search(r"%(?![0-9A-Fa-f]{2})|%00", text):
        raise ValueError(f"a '%' is not followed by two hexadecimal digits: {_ENCODE}")
    raw = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode("utf-8", "strict"))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ValueError(f"a percent-encoded text is not UTF-8: {_ENCODE}") from None


_PAIR: Final = re.compile(
    r"\s*(?P<name>[^\s=]+)\s*=\s*(?:'(?P<quoted>(?:[^'\\]|\\.)*)'|(?P<bare>(?:[^\s'\\]|\\.)*))(?=\s|$)"
)


def _of_keywords(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(text):
        found = _PAIR.match(text, place)
        if found is None:
            told = "keywords are written name=value, a value with spaces in single quotes, \\' and \\\\ inside them"
            raise ValueError(told)
        value = found["bare"] if found["quoted"] is None else found["quoted"]
        yield found["name"], re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
        place = found.end()


def _check(parameters: dict[str, str]) -> None:
    """Raise ValueError where libpq would complain later, or say less clearly what is wrong."""
    for name, value in list(parameters.items()):
        if name not in _KNOWN:
            close = difflib.get_close_matches(name, _KNOWN, n=1, cutoff=0.6)
            # A name that is close to none is not told: it may be a piece of a password.
            told = f"{name!r} is no parameter of a connection: did you mean {close[0]!r}?" if close else ""
            raise ValueError(told or "it has a parameter that no connection knows")
        if "\0" in value:
            raise ValueError(f"{name} holds a NUL character")
        if (choices := _CHOICES.get(name)) and value not in choices:
            raise ValueError(f"expected {name} to be one of {', '.join(choices)}")
        if not value:
            del parameters[name]
    if "dbname" not in parameters:
        raise ValueError(f"it names no database: write it as '{EXAMPLE}'")
    _check_places(parameters)


def _check_places(parameters: Mapping[str, str]) -> None:
    hosts = parameters.get("host", parameters.get("hostaddr", "")).split(",")
    ports = parameters.get("port", "").split(",")
    if len(ports) not in (1, len(hosts)):
        raise ValueError(f"it names {len(hosts)} hosts and {len(ports)} ports: one for each host, or one for all")
    for port in ports:
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
            raise ValueError("expected a port between 1 and 65535")
    if any("@" in host or (":" in host and host.count(":") < 2) for host in hosts):
        raise ValueError(f"a host is no name or address: {_ENCODE}")
