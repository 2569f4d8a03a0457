"""What the book keeps of the log: the newest lines, and failures counted by kind."""

from typing import Any

from appliance.observe.log_book import LINES, LogBook

TRACE = """Traceback (most recent call last):
  File "/opt/x/appliance/engine/refine.py", line {line}, in run
    self.once()
  File "/usr/lib/python3.11/json/decoder.py", line 355, in raw_decode
    raise error
json.decoder.JSONDecodeError: Expecting value
"""


def event(name: str = "refine.failed", level: str = "error", **values: Any) -> dict[str, Any]:
    return {"timestamp": "2026-11-28T12:00:00Z", "level": level, "part": "refine", "event": name, **values}


def test_the_same_failure_counts_up_wherever_its_line_has_moved_to() -> None:
    book = LogBook()
    book.keep(event(exception=TRACE.format(line=10), timestamp="2026-11-28T12:00:00Z"))
    book.keep(event(exception=TRACE.format(line=11), timestamp="2026-11-28T13:00:00Z"))
    (failure,) = book.failures()
    assert (failure.kind, failure.place, failure.count) == ("JSONDecodeError", "appliance/engine/refine.py:run", 2)
    assert (failure.first_at, failure.last_at) == ("2026-11-28T12:00:00Z", "2026-11-28T13:00:00Z")


def test_warnings_are_lines_and_no_failures_unless_something_was_raised() -> None:
    book = LogBook()
    book.keep(event(level="warning"))
    assert book.failures() == []
    book.keep(event(level="warning", exception=TRACE.format(line=1)))
    assert len(book.failures()) == 1


def test_lines_are_chosen_by_level_text_and_what_was_seen() -> None:
    book = LogBook()
    for name, level in (("one", "debug"), ("two", "info"), ("three", "error")):
        book.keep(event(name, level, pipeline="pip_Boiler"))
    assert [line.event for line in book.lines("info")] == ["three", "two"]
    assert [line.event for line in book.lines("debug", "TWO")] == ["two"]
    assert len(list(book.lines(text="boiler"))) == 3
    assert [line.event for line in book.lines(after=2)] == ["three"]


def test_the_book_is_bounded() -> None:
    book = LogBook()
    for number in range(LINES + 5):
        book.keep(event(f"event.{number}"))
    assert len(list(book.lines())) == LINES
    assert len(book.failures()) == 200
    assert book.failures()[0].event == f"event.{LINES + 4}"
    book.keep(event("long", text="x" * 20_000))
    assert len(next(book.lines()).values["text"]) == 8_000


def test_a_new_process_goes_on_counting() -> None:
    before, now = LogBook(), LogBook()
    before.keep(event("a", timestamp="2026-11-01T00:00:00Z"))
    before.keep(event("b"))
    now.keep(event("a"))
    now.remember(before.failures())
    assert [(one.event, one.count) for one in now.failures()] == [("a", 2), ("b", 1)]
    assert now.failures()[0].first_at == "2026-11-01T00:00:00Z"
    assert now.forget(now.failures()[1].key)
    assert not now.forget("nothing")
