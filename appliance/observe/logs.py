"""Logs: one line an event, to standard error; text on a terminal and JSON otherwise; no secrets.

Everybody logs with ``structlog.get_logger("part")``: an event name with dots, and values by keyword. What libraries log
through ``logging`` comes out the same way. Call ``configure`` once, first of all.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from appliance.observe.log_book import BOOK
from appliance.observe.masking import mask

Format = Literal["auto", "text", "json"]
LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

# Libraries that tell every request or every query at INFO.
_QUIET: Final = (
    "httpx", "httpcore", "sqlalchemy", "alembic", "watchfiles", "asyncio", "granian.access", "multipart", "sqlglot",
)  # fmt: skip
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_least = LEVELS["info"]


def configure(level: str = "info", form: Format = "auto", stream: TextIO | None = None) -> None:
    """Send every log line to ``stream`` (None: standard error) from ``level`` on. May be called again."""
    out = stream or sys.stderr
    text = form == "text" or (form == "auto" and out.isatty())
    set_level(level)
    ending = _text_ending(out) if text else _json_ending()
    structlog.configure(
        processors=[_drop_below, *_common(), *ending],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        logger_factory=lambda *names: _Line(out, names[0] if names else "dash"),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=[_from_logging, *_common(), *ending]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def set_level(level: str) -> None:
    """Log from ``level`` (debug, info, warning, error) on, from now on."""
    global _least
    _least = LEVELS[level]


class _Line:
    """Where structlog's lines end: one write each, so that two threads cannot interleave theirs."""

    def __init__(self, out: TextIO, name: str) -> None:
        self._out = out
        self.name = name

    def msg(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()

    debug = info = warning = warn = error = critical = exception = fatal = log = msg


def _drop_below(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if LEVELS.get(method, LEVELS["error"]) < _least:
        raise structlog.DropEvent
    event.setdefault("part", getattr(logger, "name", "dash"))
    return event


def _from_logging(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event.pop("_record")
    event.pop("_from_structlog", None)
    event["part"] = record.name
    event["level"] = record.levelname.lower()
    if record.exc_info:
        event["exc_info"] = record.exc_info
    return event


def _common() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _mask_all,
        _keep,
    ]


def _json_ending() -> list[Processor]:
    return [_in_order, structlog.processors.JSONRenderer(default=str, ensure_ascii=False, separators=(",", ":"))]


def _text_ending(out: TextIO) -> list[Processor]:
    return [_escape_all, structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=28)]


def _mask_all(_logger: WrappedLogger, _method: str, event: EventDict) -> MutableMapping[str, Any]:
    return {key: mask(key, value) for key, value in event.items()}


def _keep(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    BOOK.keep(event)
    return event


def _in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> MutableMapping[str, Any]:
    """What every line has comes first, so that a raw log can be read."""
    first = {name: event[name] for name in ("timestamp", "level", "part", "event") if name in event}
    return {**first, **event}


def _escape_all(_logger: WrappedLogger, _method: str, event: EventDict) -> MutableMapping[str, Any]:
    """A line break in a value must not look like a line of the log; a traceback alone has lines of its own."""
    return {
        key: _CONTROL.sub(lambda match: repr(match[0])[1:-1], value)
        if isinstance(value, str) and key != "exception"
        else value
        for key, value in event.items()
    }
