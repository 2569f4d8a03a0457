"""What two stores hold, compared over both readings: whatever database they are in, the same Arrow is read."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final, NamedTuple

import duckdb
import pyarrow as pa

from appliance.components.transfer import SHEET, Share

_DAY_US: Final = 86_400_000_000
_EPOCH: Final = date(1970, 1, 1)
_OF_DAY: Final = {
    Share.ROWS: f"epoch_us(_time) // {_DAY_US}",
    Share.DEAD: f"epoch_us(received_at) // {_DAY_US}",
    Share.KEPT: f"epoch_us(_time) // {_DAY_US}",
}
_SUMMED: Final = "SELECT {day}, count(*), sum(hash({every})), {each} FROM part GROUP BY 1"
_MOST: Final = 20  # differences named


class _Heap(NamedTuple):
    """Lines that are told apart by share, sheet and day."""

    share: Share
    sheet: str
    day: int | None

    def __str__(self) -> str:
        if self.day is None:
            return self.share.value
        try:
            return f"{self.share.value} of {_EPOCH + timedelta(days=self.day)}"
        except OverflowError:
            return f"{self.share.value} of the day {self.day}"


class Contents:
    """Counts lines by day, and adds up 64-bit hashes of each column and of whole lines, whatever order they come in."""

    def __init__(self) -> None:
        self._sums: dict[_Heap, dict[str, int]] = {}
        self._connection = duckdb.connect(config={"threads": 1})

    def add(self, share: Share, part: pa.Table) -> None:
        """Take note of a part that was read."""
        if not part.num_rows:
            return
        sheet = (part.schema.metadata or {}).get(SHEET, b"").decode()
        names = [f"c{place}" for place in range(part.num_columns)]
        day = _OF_DAY.get(share, "NULL")
        told = dict(zip(part.column_names, names, strict=True))
        for field in ("_time", "received_at"):
            day = day.replace(f"({field})", f"({told.get(field, field)})")
        each = ", ".join(f"sum(hash({name}))" for name in names)
        cursor = self._connection.cursor()
        cursor.register("part", part.rename_columns(names))
        for found, *sums in cursor.execute(_SUMMED.format(day=day, every=", ".join(names), each=each)).fetchall():
            kept = self._sums.setdefault(_Heap(share, sheet, found), {})
            for name, value in zip(("", " ", *part.column_names), sums, strict=True):
                kept[name] = kept.get(name, 0) + int(value)
        cursor.close()

    def differences(self, target: "Contents") -> Iterator[str]:
        """Yield what is other in ``target``, in words: by share, day and column; nothing: all is the same."""
        heaps = sorted(self._sums.keys() | target._sums.keys(), key=lambda heap: (*map(str, heap[:2]), heap.day or 0))
        found = [told for heap in heaps if (told := self._difference(target, heap))]
        yield from found[:_MOST]
        if len(found) > _MOST:
            yield f"and {len(found) - _MOST} more"

    def _difference(self, target: "Contents", heap: _Heap) -> str | None:
        own, other = (one._sums.get(heap, {}) for one in (self, target))
        if own.get("") != other.get(""):
            return f"{heap}: {own.get('', 0)} at the source, {other.get('', 0)} at the target"
        columns = [name for name in own if name.strip() and own[name] != other.get(name)]
        if columns:
            return f"{heap}: {', '.join(columns)} differs"
        return None if own == other else f"{heap}: the values of different lines are mixed up"
