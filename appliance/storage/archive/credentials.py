"""The key with which requests to an object store are signed: from the settings, or from a file that may change."""

from collections.abc import Callable
from configparser import ConfigParser
from configparser import Error as NotIni
from pathlib import Path

import msgspec

from appliance.errors import TransientError
from appliance.observe.masking import conceal

_SECTION = "default"


class Credentials(msgspec.Struct, frozen=True):
    """``token``: of temporary credentials."""

    access_key: str
    secret_key: str
    token: str | None = None

    def __post_init__(self) -> None:
        conceal(self.secret_key, self.token or "")

    def __repr__(self) -> str:
        return "Credentials(…)"


def read_credentials(path: Path) -> Credentials:
    """Return what a file in the form of ``~/.aws/credentials`` says in its section ``[default]``.

    Raises:
        TransientError: it cannot be read or lacks a key; whoever mends it need not restart anything.
    """
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text("utf-8"))
        found = parser[_SECTION]
        return Credentials(
            found["aws_access_key_id"], found["aws_secret_access_key"], found.get("aws_session_token") or None
        )
    except OSError as error:
        raise TransientError(f"reading the credentials file {path}: {error.strerror}; let this user read it") from error
    except (NotIni, UnicodeDecodeError, KeyError):
        told = "expected a section [default] with aws_access_key_id and aws_secret_access_key"
        raise TransientError(f"reading the credentials file {path}: {told}") from None  # the cause quotes its lines


def credentials_from(path: Path | None, fixed: Credentials | None) -> Callable[[], Credentials]:
    """Return who answers the credentials that hold at the moment."""
    if path is not None:
        return lambda: read_credentials(path)
    assert fixed is not None  # noqa: S101 - settings demand one of the two
    return lambda: fixed
