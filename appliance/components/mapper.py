"""The contract of mapping: frames of Bronze become rows and dead letters."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import pyarrow as pa

from appliance.components.silver import Column
from appliance.domain.event import Frame
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import Mapping


class CompiledMapping(Protocol):
    """A mapping, checked and turned into something that runs. Immutable; may be run by several threads."""

    @property
    def columns(self) -> tuple[Column, ...]: ...

    @property
    def keyed(self) -> bool: ...


class Mapped(msgspec.Struct, frozen=True):
    """What became of consecutive events; tables as ``components.silver.Batch`` wants them."""

    rows: pa.Table
    dead: pa.Table
    outcome: Outcome
    first_seq: int
    last_seq: int
    stopped: str | None = None  # why nothing after ``last_seq`` (below ``first_seq``: nothing at all) was mapped


class Mapper(Protocol):
    """Turns mappings into something that runs, and runs it; may be called by several threads at once."""

    def compile(self, mapping: Mapping) -> CompiledMapping:
        """Check and compile.

        Raises:
            Invalid: every problem of the mapping, by JSON pointer.
        """
        ...

    def run(self, compiled: Any, frames: Sequence[Frame], version: int = 0) -> Mapped:
        """Map ``frames`` (consecutive, not empty) by what ``compile`` gave; blocking.

        It may stop after some of the events, where one event gives very many rows: ``last_seq`` says how far it came.
        It ends before the first event that drifts from a frozen mapping: ``stopped`` says why, and asking again will
        not help. ``version`` goes into the dead letters. Never raises for what an event contains.

        Raises:
            FatalError: the mapping does not run at all.
        """
        ...
