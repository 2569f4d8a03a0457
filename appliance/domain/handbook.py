"""Where the handbook explains something: addresses below ``/docs`` on every node. A test opens each of them."""

from typing import Final

ERRORS: Final = "/docs/errors"
DOCTOR: Final = "/docs/doctor"
VERIFY: Final = "/docs/runbook#verify-finds-something"


def of_error(code: str) -> str:
    """Return the place about an error code: ``E_INVALID`` → ``/docs/errors#e_invalid``."""
    return f"{ERRORS}#{code.lower()}"


def of_finding(about: str) -> str:
    """Return the place about what ``doctor`` has found."""
    return f"{DOCTOR}#{about}"
