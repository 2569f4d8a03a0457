"""Every error Dash raises on purpose, classed by what must happen next.

DashError
├── ConfigError(problems)         the operator must change something        not started · 422 · exit 78
├── RequestError                  asked for something impossible            4xx · exit 1
│   ├── BadRequest                400  not JSON, malformed
│   ├── Unauthenticated           401  signature, token or password
│   ├── Forbidden                 403  known, but not allowed
│   │   └── Unlicensed            403  allowed, but not licensed
│   ├── NotFound                  404  also for what belongs to another organisation
│   ├── MethodNotAllowed          405  the path is right, the method is not
│   ├── Conflict                  409  the state does not permit it
│   ├── TooLarge                  413  a stated bound was exceeded
│   ├── UnsupportedMedia          415  a content type or encoding nobody reads
│   ├── Invalid(problems)         422  well-formed but wrong, with every problem
│   └── RateLimited(retry_after)  429  over a limit of this tenant
├── TransientError(retry_after)   may work later                            back off, same batch · 503 · exit 75
│   └── UnderMaintenance          503  a change, by somebody who is no administrator
├── RecordError(record, stage)    this record is bad, the others are fine   dead letter, go on
└── FatalError(hint)              state cannot be trusted                   stop that pipeline · 500 · exit 70
    └── FrozenError(seq)          an event differs from a frozen mapping    stop that pipeline, Dash is well

``code`` is stable: it appears in API answers and the handbook explains it. A message is one sentence: what was being
done, to which thing, what is wrong, what to do. It never carries a secret.
"""

from collections.abc import Sequence
from typing import ClassVar

import msgspec


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing wrong with a document, and what to do about it.

    ``pointer`` is an RFC 6901 JSON pointer into the document (``""`` for the whole), or a dotted settings key.
    """

    pointer: str
    message: str
    hint: str | None = None
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        where = " ".join(part for part in (place, self.pointer) if part)
        told = f"{where}: {self.message}" if where else self.message
        return f"{told} ({self.hint})" if self.hint else told


class DashError(Exception):
    """The root: has a stable ``code`` and a message fit for the person who asked."""

    code: ClassVar[str] = "E_INTERNAL"


class ConfigError(DashError):
    """Settings or a component's declaration are wrong; ``problems`` lists all of it."""

    code = "E_CONFIG"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


class RequestError(DashError):
    """Somebody asked for something that is impossible or not allowed."""

    code = "E_REQUEST"


class BadRequest(RequestError):
    code = "E_MALFORMED"


class Unauthenticated(RequestError):
    code = "E_UNAUTHENTICATED"


class Forbidden(RequestError):
    code = "E_FORBIDDEN"


class Unlicensed(Forbidden):
    code = "E_UNLICENSED"


class NotFound(RequestError):
    code = "E_NOT_FOUND"


class MethodNotAllowed(RequestError):
    code = "E_METHOD"


class Conflict(RequestError):
    code = "E_CONFLICT"


class TooLarge(RequestError):
    code = "E_TOO_LARGE"


class UnsupportedMedia(RequestError):
    code = "E_MEDIA_TYPE"


class Invalid(RequestError):
    """Well-formed but wrong; ``problems`` lists every one, by JSON pointer."""

    code = "E_INVALID"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


class RateLimited(RequestError):
    """Over a limit of this tenant; ``retry_after_secs`` says when to come back."""

    code = "E_RATE_LIMITED"

    def __init__(self, message: str, retry_after_secs: float) -> None:
        self.retry_after_secs = retry_after_secs
        super().__init__(message)


class TransientError(DashError):
    """May work later: the engine backs off and tries the same batch again."""

    code = "E_UNAVAILABLE"

    def __init__(self, message: str, retry_after_secs: float = 1.0) -> None:
        self.retry_after_secs = retry_after_secs
        super().__init__(message)


class UnderMaintenance(TransientError):
    """Changes are refused for a while, as an administrator told everybody."""

    code = "E_MAINTENANCE"


class RecordError(DashError):
    """One record is bad and its neighbours are fine: it becomes a dead letter."""

    code = "E_RECORD"

    def __init__(self, message: str, stage: str) -> None:
        self.stage = stage
        super().__init__(message)


class FatalError(DashError):
    """State cannot be trusted: the pipeline concerned stops and a person is told ``hint``."""

    code = "E_FATAL"

    def __init__(self, message: str, hint: str) -> None:
        self.hint = hint
        super().__init__(message)


class FrozenError(FatalError):
    """The event ``seq`` differs from a mapping whose contract is 'freeze': its pipeline stops, as it was told to."""

    def __init__(self, message: str, hint: str, seq: int) -> None:
        self.seq = seq
        super().__init__(message, hint)
