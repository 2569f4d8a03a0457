"""The levels of the query that make a row of each element of an array.

What stands around the array is repeated in each of its rows. A sender could make 100 GB of 1 MB that way, so an event
whose rows would repeat more than 256 times its own length is a dead letter (1 MiB always may be, 256 MiB never), and so
is one that has more than a million elements.
"""

from collections.abc import Iterable, Iterator

MOST_ELEMENTS = 1_000_000
_MOST_TIMES = 256
_ALWAYS_FINE, _NEVER_FINE = 1 << 20, 256 << 20  # bytes
UNFIT = "(broken OR misfit OR swollen)"


def exploded(listed: str, repeated: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield name and SELECT list of the levels.

    ``listed`` is SQL for the array's JSON, ``repeated`` SQL for each text that every row of the event will hold.
    """
    sizes = " + ".join(f"coalesce(strlen({text}), 0)" for text in repeated) or "0"
    is_array = "NOT broken AND coalesce(shape = 'ARRAY', false)"
    yield (
        "sized",
        f"*, CASE WHEN {is_array} THEN json_array_length({listed}) ELSE 0 END AS elements, {sizes} AS around_bytes",
    )
    misfit = "NOT broken AND coalesce(shape NOT IN ('ARRAY', 'NULL'), false) AS misfit"
    bound = f"least({_NEVER_FINE}, greatest({_ALWAYS_FINE}, {_MOST_TIMES} * strlen(raw)))"
    swollen = f"elements > {MOST_ELEMENTS} OR elements * around_bytes > {bound} AS swollen"
    yield "fitting", f"*, {misfit}, {swollen}"
    # An event that gives no rows because something is wrong goes on as one row, so that it is counted and told of.
    elements = f"CASE WHEN elements > 0 THEN json_extract({listed}, '$[*]') ELSE [] END"
    yield "items", f"*, CASE WHEN {UNFIT} THEN [CAST(NULL AS JSON)] ELSE {elements} END AS items"
    place = "CAST(unnest(range(len(items))) AS INTEGER) AS item"
    yield "element", f"* EXCLUDE (items), unnest(items) AS element, {place}"
