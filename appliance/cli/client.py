"""The API as commands use it: one connection to a running appliance, its problems turned into errors and exit codes."""

import http.client
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import click
import msgspec

from appliance.cli.exits import CannotCreate, Unavailable
from appliance.errors import (
    ConfigError,
    Conflict,
    DashError,
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    TooLarge,
    TransientError,
    Unauthenticated,
    Unlicensed,
)
from appliance.settings import Settings
from appliance.settings.environment import TOKEN, token

TIMEOUT_SECS: Final = 60.0
_ERRORS: Final[dict[int, type[DashError]]] = {403: Forbidden, 404: NotFound, 409: Conflict, 413: TooLarge}


class Client:
    """Speaks for whoever has ``token``. As a context manager it closes its connection."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        self._connection = _connection(self.url)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def get(self, path: str, **parameters: Any) -> Any:
        """Return what ``/api/v1`` + ``path`` answers. Raises as ``post``."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._ask("GET", f"{path}?{urlencode(given)}" if given else path, None)

    def post(self, path: str, body: Any = None) -> Any:
        """Send ``body`` as JSON and return the answer.

        Raises:
            Unavailable: nobody answers there.
            DashError: the class that fits the status.
        """
        return self._ask("POST", path, msgspec.json.encode({} if body is None else body))

    def put(self, path: str, body: Any) -> Any:
        """Send ``body`` as JSON, to be there from now on, and return the answer. Raises as ``post``."""
        return self._ask("PUT", path, msgspec.json.encode(body))

    def upload(self, path: str, data: bytes) -> Any:
        """Send ``data`` as it is, to be there from now on, and return the answer. Raises as ``post``."""
        return self._ask("PUT", path, data, "application/octet-stream")

    def patch(self, path: str, body: Any) -> Any:
        """Send ``body`` as JSON, to be changed there, and return the answer. Raises as ``post``."""
        return self._ask("PATCH", path, msgspec.json.encode(body))

    def delete(self, path: str) -> None:
        """Have what is at ``path`` removed. Raises as ``post``."""
        self._ask("DELETE", path, None)

    def items(self, path: str, **parameters: Any) -> Iterator[Any]:
        """Yield the items of a list, page after page."""
        cursor = None
        while True:
            page = self.get(path, cursor=cursor, limit=200, **parameters)
            yield from page["items"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def _ask(self, method: str, path: str, body: bytes | None, media: str = "application/json") -> Any:
        headers = self._headers | ({"content-type": media} if body is not None else {})
        try:
            answer, read = self._once(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            if method != "GET" or isinstance(error, ConnectionRefusedError):
                raise self._nobody(error) from error
            answer, read = self._again(path, headers)  # the connection was idle for too long
        return _answer(answer, read)

    def _again(self, path: str, headers: dict[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
        try:
            return self._once("GET", path, None, headers)
        except (OSError, http.client.HTTPException) as error:
            raise self._nobody(error) from error

    def _once(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        self._connection.request(method, f"/api/v1{path}", body, headers)
        answer = self._connection.getresponse()
        return answer, answer.read()

    def _nobody(self, error: Exception) -> Unavailable:
        self._connection.close()
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        return Unavailable(
            f"asking the appliance at {self.url}: nobody answers ({why}); this command needs a running appliance: "
            "start it with 'dash-appliance serve', or say where it is with --url"
        )


def quoted(name: str) -> str:
    """Return ``name`` as one step of a path."""
    return quote(name, safe="")


def connected(settings: Settings, url: str | None, token_file: str | None) -> Client:
    """Return a client for the appliance of these settings, or the one at ``url``.

    Raises:
        ConfigError: there is no token, or ``url`` is none.
        CannotCreate: the token file cannot be read.
    """
    server = settings.server
    host = "127.0.0.1" if server.host in ("0.0.0.0", "::") else server.host  # noqa: S104 - compared, not bound
    where = url or f"http://{f'[{host}]' if ':' in host else host}:{server.port}"
    parts = urlsplit(where)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError([Problem("--url", f"expected an address such as 'http://127.0.0.1:8080', got {where!r}")])
    return Client(where, _token(token_file))


def reaching(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options by which a command finds a running appliance and says who asks."""
    for option in (
        click.option("--token-file", metavar="FILE", help=f"File with an API token; without it {TOKEN} counts."),
        click.option("--url", metavar="URL", help="Address of the appliance [from server.host and server.port]."),
    ):
        command = option(command)
    return command


def _token(file: str | None) -> str:
    if file is None:
        found = token()
    else:
        try:
            found = Path(file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CannotCreate(f"the token file {file!r} cannot be read: {error}") from error
    if not found:
        hint = f"set {TOKEN}, or say --token-file; tokens are made on the page API tokens, or by 'setup --print-token'"
        raise ConfigError([Problem(TOKEN, "there is no API token", hint)])
    return found


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    host = str(parts.hostname)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT_SECS, context=context)
    return http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_SECS)


def _answer(answer: http.client.HTTPResponse, body: bytes) -> Any:
    try:
        told = msgspec.json.decode(body) if body else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = None
    if 200 <= answer.status < 300:
        return told
    problem: dict[str, Any] = told if isinstance(told, dict) else {}
    text = str(problem.get("detail") or problem.get("title") or f"the appliance answered {answer.status}")
    if answer.status == 401:  # the appliance says that nobody is signed in, which is no help to one who sent a token
        raise Unauthenticated(
            "the token is not known: it is another appliance's, was revoked or has expired; "
            f"make one on the page API tokens, and set {TOKEN} or say --token-file"
        )
    if answer.status in (429, 503):
        raise TransientError(text, float(answer.headers.get("retry-after") or 1))
    if answer.status == 422 and problem.get("problems"):
        raise Invalid([msgspec.convert(one, Problem) for one in problem["problems"]])
    if problem.get("code") == Unlicensed.code:
        raise Unlicensed(text)
    raise _ERRORS.get(answer.status, DashError)(text)
