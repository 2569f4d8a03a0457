"""The two ends of a mapping's query: the lines that go in, and the tables that come out."""

from appliance.domain.mapping import Contract, Unmapped
from appliance.mapping import checks, sql
from appliance.mapping.checks import Check
from appliance.mapping.plan import MOMENT, Plan

ROW, FILTERED, DEAD, DRIFT = 0, 1, 2, 3
STATE, SHAPE = "_state", "_shape"  # columns of the rows for the mapper alone

_KEYS = "TRY(json_keys(raw))"
# A frame that does not hold what it says fails the query, which counts lines in passing: by itself it takes 80 ns each.
_LINE = (
    "SELECT CASE WHEN len(parts) = count THEN first_seq ELSE error('lines') END + unnest(range(count)) AS seq,"
    " received_us, unnest(parts) AS raw FROM (SELECT *, string_split(lines, chr(10)) AS parts FROM frames)"
)
ROW_LINE = f"SELECT *, hash({_KEYS}) AS keys FROM ({_LINE})"  # noqa: S608 - constants
DEAD_LINE = (
    f"SELECT *, coalesce(list_unique({_KEYS}) < len({_KEYS}), false) AS twice"  # noqa: S608 - constants
    f" FROM ({_LINE}) WHERE seq IN (SELECT seq FROM dead)"
)
LENIENT = frozenset({Contract.EVOLVE, Contract.DISCARD_VALUE})  # a value that does not fit leaves the rest of its row

# Damaged frames carry the reason where others carry their events.
DAMAGED_WORDS = (
    "SELECT first_seq + unnest(range(count)) AS seq, CAST(0 AS INTEGER) AS item, 'damaged' AS reason,"
    " CAST(NULL AS VARCHAR) AS field, CAST(NULL AS VARCHAR) AS value, lines AS message,"
    " CAST(to_json([{'reason': 'damaged', 'field': NULL, 'value': NULL, 'message': lines}]) AS VARCHAR) AS problems,"
    " make_timestamp(received_us) AS received_at FROM frames"
)
# The hashes of the lists of keys, among the events of ``frames``, in which a key stands twice.
TWICE_SHAPES = (
    f"SELECT DISTINCT hash(keys) AS {SHAPE} FROM (SELECT {_KEYS} AS keys FROM ({_LINE}))"  # noqa: S608 - constants
    " WHERE list_unique(keys) < len(keys)"
)


def select_rows(plan: Plan, level: str) -> str:
    """Return the SELECT of the rows: system columns, fields, state and the hash of the event's keys."""
    extra = "rest" if plan.unmapped is Unmapped.KEEP else "CAST(NULL AS VARCHAR)"
    if plan.contract in LENIENT:
        extra = "extra"
    columns = [f"{MOMENT} AS _time", "seq AS _seq", "item AS _item"]
    if plan.key:
        columns.append(f"{_key(plan.key)} AS _key")
    columns.append(f"{extra} AS _extra")
    columns += [f"{value.column} AS {sql.identifier(value.name)}" for value in plan.fields]
    columns += [f"CAST(state AS TINYINT) AS {STATE}", f"keys AS {SHAPE}"]
    return f"SELECT {', '.join(columns)} FROM {level}"  # noqa: S608 - quoted


def select_words(found: list[Check], unusable: list[Check], level: str) -> str:
    """Return the SELECT of the dead letters, all but the version."""
    problems = checks.problems(found, unusable)
    which = f"CASE WHEN twice THEN item = 0 ELSE state >= {DEAD} END"
    dead = f"SELECT seq, item, received_us, {problems} AS problems FROM {level} WHERE {which}"  # noqa: S608 - quoted
    first = ", ".join(f"problems[1].{name} AS {name}" for name in ("reason", "field", "value", "message"))
    told = "CAST(to_json(problems) AS VARCHAR) AS problems, make_timestamp(received_us) AS received_at"
    return f"SELECT seq, item, {first}, {told} FROM ({dead}) ORDER BY seq, item"  # noqa: S608 - quoted


def _key(columns: tuple[str, ...]) -> str:
    """Return SQL for the digest of the key; a row in which a part is missing agrees with no other row."""
    missing = " OR ".join(f"{column} IS NULL" for column in columns)
    # Each part stands behind its length, so that ('a', 'bc') and ('ab', 'c') differ.
    parts = ", ".join(f"length(CAST({column} AS VARCHAR)), ':', CAST({column} AS VARCHAR)" for column in columns)
    return f"unhex(md5(CASE WHEN {missing} THEN concat('-', seq, '/', item) ELSE concat({parts}) END))"
