"""A mapper for all tests of the folder, and frames made of plain values."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from appliance.components.mapper import Mapped
from appliance.domain.event import Frame
from appliance.domain.mapping import Mapping
from appliance.mapping import Mapper, compile_mapping

RECEIVED_US = 1_760_000_000_000_000  # 2025-10-09T08:53:20Z


@pytest.fixture(scope="session")
def mapper() -> Iterator[Mapper]:
    mapper = Mapper()
    yield mapper
    mapper.close()


@pytest.fixture
def document() -> Callable[..., Mapping]:
    """Make a mapping from the members of its document."""
    return lambda **members: msgspec.convert(members, Mapping)


@pytest.fixture
def frame() -> Callable[..., Frame]:
    """Make a frame of events: bytes as they are, other values as JSON."""

    def make(*events: Any, first_seq: int = 1) -> Frame:
        lines = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
        return Frame(first_seq, len(lines), RECEIVED_US, b"\n".join(lines))

    return make


@pytest.fixture
def mapped(mapper: Mapper, frame: Callable[..., Frame]) -> Callable[..., Mapped]:
    """Map events by a document: ``mapped({"fields": …}, event, event …)``."""

    def run(members: dict[str, Any], *events: Any) -> Mapped:
        return mapper.run(compile_mapping(msgspec.convert(members, Mapping)), [frame(*events)], version=3)

    return run


@pytest.fixture
def read(mapped: Callable[..., Mapped]) -> Callable[[str, Any], Any]:
    """Read one JSON value as a type: the value in the row, or the dead letter's reason as ``!reason``."""

    def value(kind: str, given: Any) -> Any:
        event = b'{"v":' + (given if isinstance(given, bytes) else json.dumps(given).encode()) + b"}"
        answer = mapped({"fields": [{"name": "v", "path": "$.v", "type": kind}]}, event)
        return answer.rows["v"][0].as_py() if answer.rows.num_rows else f"!{answer.dead['reason'][0]}"

    return value
