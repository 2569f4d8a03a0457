"""The one place where an error becomes a message and an exit code. The codes are those of sysexits(3)."""

import os
import sys
import traceback
from enum import IntEnum

import msgspec

from appliance.domain import handbook
from appliance.errors import ConfigError, DashError, FatalError, Invalid, Problem, TransientError


class Exit(IntEnum):
    """What a command answers its caller."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 69  # something needed is not there: the appliance, a port
    BUG = 70
    CANNOT_CREATE = 73  # a file or directory cannot be made
    TRY_AGAIN = 75
    CONFIGURATION = 78
    INTERRUPTED = 130  # as a shell says it for SIGINT


class CannotCreate(DashError):
    """A file or directory cannot be made, read or written."""

    code = "E_CANNOT_CREATE"


class Unavailable(DashError):
    """Something that the command needs is not there."""

    code = "E_NOT_AVAILABLE"


_CODES: tuple[tuple[type[DashError], Exit], ...] = (
    (ConfigError, Exit.CONFIGURATION),
    (TransientError, Exit.TRY_AGAIN),
    (FatalError, Exit.BUG),
    (CannotCreate, Exit.CANNOT_CREATE),
    (Unavailable, Exit.UNAVAILABLE),
)


def code_of(error: Exception) -> Exit:
    """Return the exit code for ``error``; an error that nobody foresaw is a bug."""
    error = _foreseen(error)
    if not isinstance(error, DashError):
        return Exit.BUG
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.FAILED)


def report(error: Exception, *, as_json: bool = False, debug: bool = False) -> Exit:
    """Tell a person (or a script) what went wrong, on standard error, and return the exit code."""
    if debug:
        traceback.print_exception(error)
    error = _foreseen(error)
    problems = list(error.problems) if isinstance(error, ConfigError | Invalid) else []
    if as_json:
        code = _name_of(error)
        told = {"code": code, "title": _title(error), "problems": problems, "more": handbook.of_error(code)}
        sys.stderr.write(msgspec.json.encode({"error": told}).decode() + "\n")
    else:
        sys.stderr.write(f"{_text(error, problems)}  more: {handbook.of_error(_name_of(error))}\n")
    return code_of(error)


def _name_of(error: Exception) -> str:
    return getattr(error, "code", "E_INTERNAL")


def _title(error: Exception) -> str:
    if isinstance(error, ConfigError):
        return "the configuration has problems"
    if isinstance(error, Invalid):
        return "what was asked for is not valid"
    if isinstance(error, FatalError):
        return f"{error}: {error.hint}"
    if isinstance(error, DashError):
        return str(error)
    inner = _innermost(error)
    return f"a bug in Dash, please report it: {type(inner).__name__}: {inner} (--debug shows where)"


def _foreseen(error: Exception) -> Exception:
    """Return the error of Dash that a group is about: what starts together ends in a group."""
    inner = _innermost(error)
    program = os.path.realpath(sys.executable)
    if isinstance(inner, ImportError | LookupError) and not os.access(program, os.R_OK):
        # Root has become the user whom the data directory belongs to, and the program lies where only root may look.
        return Unavailable(
            f"uid {os.geteuid()}, whom the data directory belongs to, may not read the program in "
            f"{os.path.dirname(program)}: install it, or unpack it elsewhere with --extract-to"
        )
    return inner if isinstance(inner, DashError) else error


def _innermost(error: BaseException) -> BaseException:
    """What a group of errors is about is inside it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _text(error: Exception, problems: list[Problem]) -> str:
    if not problems:
        return f"error: {_title(error)}\n"
    return "".join(f"error: {problem}\n" for problem in problems)
