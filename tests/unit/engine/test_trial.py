"""A mapping tried on events: all of them, bit by bit, unless it stops."""

from collections.abc import Sequence
from typing import Any

from appliance.components.mapper import Mapped
from appliance.domain.event import Frame
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import Contract, Mapping
from appliance.engine.trial import trial
from appliance.mapping import Mapper
from tests.fakes.refining import Numbers


def frames(*lines: bytes) -> list[Frame]:
    return [Frame(seq, 1, 0, line) for seq, line in enumerate(lines, 1)]


def test_what_the_mapper_leaves_is_mapped_next() -> None:
    mapper = Stepping(Numbers())
    mapped = trial(mapper, Mapping(), frames(b"1", b"7", b"9"))
    assert (mapped.outcome, mapped.first_seq, mapped.last_seq) == (Outcome(stored=3), 1, 3)
    assert mapper.given == [3, 2, 1]


class Stepping:
    """Answers one event at a time, as a mapping whose events give very many rows does."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self.compile = numbers.compile
        self.given: list[int] = []

    def run(self, compiled: Any, given: Sequence[Frame], version: int = 0) -> Mapped:
        self.given.append(len(given))
        return self._numbers.run(compiled, given[:1], version)


def test_a_frozen_mapping_ends_the_trial() -> None:
    mapper = Mapper()
    try:
        frozen = Mapping(contract=Contract.FREEZE)
        mapped = trial(mapper, frozen, frames(b"{}", b'{"new":1}', b"{}"))
    finally:
        mapper.close()
    assert (mapped.outcome, mapped.last_seq, mapped.stopped is None) == (Outcome(stored=1), 1, False)
