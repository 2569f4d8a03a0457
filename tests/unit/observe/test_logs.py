"""Log lines as somebody's collector reads them."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from appliance.observe import logs


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    before = (logging.getLogger().handlers[:], logging.getLogger().level)
    yield io.StringIO()
    logging.getLogger().handlers[:], level = before
    logging.getLogger().setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()
    logs.set_level("info")


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_json_is_one_line_an_event_with_part_level_and_utc_time(out: io.StringIO) -> None:
    logs.configure("info", "auto", out)
    structlog.get_logger("engine").info("pipeline.started", pipeline="pl_1", note="two\nlines")
    (line,) = lines(out)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "pipeline.started",
        "level": "info",
        "note": "two\nlines",
        "part": "engine",
        "pipeline": "pl_1",
    }


def test_secrets_are_masked_also_in_tracebacks(out: io.StringIO) -> None:
    logs.configure("info", "json", out)
    try:
        raise ValueError("wrong: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    except ValueError as error:
        structlog.get_logger("x").error("failed", password="p", exc_info=error)
    (line,) = lines(out)
    assert line["password"] == "********"
    assert "ValueError: wrong: ********" in line["exception"]
    assert "whsec_" not in out.getvalue()


def test_the_level_can_change_while_running(out: io.StringIO) -> None:
    logs.configure("warning", "json", out)
    log = structlog.get_logger("x")
    log.info("one")
    logs.set_level("debug")
    log.debug("two")
    assert [line["event"] for line in lines(out)] == ["two"]


def test_a_logger_made_before_configure_is_configured_too(out: io.StringIO) -> None:
    log = structlog.get_logger("early")
    logs.configure("info", "json", out)
    log.info("hello")
    assert [(line["part"], line["event"]) for line in lines(out)] == [("early", "hello")]


def test_libraries_come_out_the_same_way(out: io.StringIO) -> None:
    logs.configure("info", "json", out)
    logging.getLogger("granian").warning("worker %s", "gone")
    logging.getLogger("httpx").info("GET /")
    (line,) = lines(out)
    assert (line["part"], line["level"], line["event"]) == ("granian", "warning", "worker gone")


@pytest.mark.parametrize("forged", ["curl\n2026-01-01 [error] forged", "a\rb", "a\x1b[31mb", "a\u2028b"])
def test_text_keeps_an_event_on_its_line(out: io.StringIO, forged: str) -> None:
    logs.configure("info", "text", out)
    structlog.get_logger("x").info(forged, agent=forged)
    assert len(out.getvalue().splitlines()) == 1
    assert "\x1b" not in out.getvalue()
