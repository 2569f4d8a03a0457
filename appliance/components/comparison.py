"""The contract of comparing: the same events by two mappings, and what became different."""

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from appliance.components.mapper import Mapped


class ChangedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row as it was (None: there was none) and as it would be, as ``components.rows.public_rows`` has it.

    ``columns``: those that differ, where there are both.
    """

    seq: int
    item: int
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    columns: list[str]


class Rows(msgspec.Struct, frozen=True):
    """``examples``: some of ``count`` rows, of as many kinds as there are, in order of the events."""

    count: int
    examples: list[ChangedRow]


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters with the same reason and field. ``message``: of the first of ``seqs``, the first few of them."""

    reason: str
    field: str | None
    count: int
    message: str
    seqs: list[int]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """``changed_by_column``: rows there before and after, by column that differs; columns without any are left out.

    A column that only one of the mappings has differs where it holds a value. ``duplicates``: rows of these events
    that a later one with the same key replaces, before and after.
    """

    added: Rows
    removed: Rows
    changed: Rows
    unchanged: int
    changed_by_column: dict[str, int]
    new_dead: list[Cause]
    healed: list[Cause]
    duplicates: tuple[int, int]


class Compare(Protocol):
    """Blocking: called in threads."""

    def __call__(self, before: "Mapped", after: "Mapped", most_examples: int, /) -> Comparison:
        """Compare what two mappings made of the same events, up to the last that both came to.

        Raises:
            TooLarge: that needs more memory than it may have.
        """
        ...
