"""Writes the one DuckDB query of a mapping: from frames to typed rows, and the same again with words for dead letters.

The query is a stack of levels, each a projection of the one below, so that nothing is computed twice however often
fields refer to each other:

    line      a line of a frame: seq, received_us, raw
    read      v: the texts of all paths, in one call (one parse); j: JSON where JSON is wanted
    element   only with explode: a row for each element; e and ej: the same of the element
    text      t0, t1 … (of the event), u0, u1 … (of the element)
    value     f0, f1 … fields, n0, n1 … undeclared names, typed strictly; stamped: the time in the event
    timed     moment: the event's time
    level     cf3 = TRY({'v': …}), NULL where computing failed; then f3, typed
    judged    kept: what where says
    rest      what nothing reads; with ``reject`` before, with ``keep`` after the next
    settled   state: 0 a row, 1 filtered, 2 dead, 3 adrift from a frozen mapping
    variant   only with a lenient contract: the values that do not fit; then extra, what is beside the columns

Inputs: ``frames`` (first_seq, received_us, count, lines); for the words also ``dead`` (seq).
"""

from collections.abc import Iterable, Iterator

from appliance.domain.mapping import FieldType, Unmapped
from appliance.mapping import checks, sql
from appliance.mapping.answers import (
    DEAD,
    DEAD_LINE,
    DRIFT,
    FILTERED,
    LENIENT,
    ROW,
    ROW_LINE,
    select_rows,
    select_words,
)
from appliance.mapping.checks import Check
from appliance.mapping.contract import judged
from appliance.mapping.explode import UNFIT, exploded
from appliance.mapping.leftover import Leftover, read_tree, with_member
from appliance.mapping.moment import moment_of_text
from appliance.mapping.path import Path
from appliance.mapping.plan import MOMENT, Plan, Value
from appliance.mapping.reading import from_text, from_value
from appliance.mapping.slots import Slots
from appliance.mapping.variant import Misfit, extra, variant

_IS_OBJECT = r"regexp_matches(raw, '^\s*\{')"


class Program:
    """The SQL of one plan. ``rows``: the query of every batch; ``words``: of the batches that have dead letters."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._event = Slots("v", "j", "t")
        self._element = Slots("e", "ej", "u")
        self._any_root = plan.explode == Path() or any(not path.names for path in self._event_paths())
        self._checks, self._tolerated = judged(self._plan, self._all_checks())
        self._inside, self._outside = self._leftovers()
        stack = list(self._levels())
        top = stack[-1][0]
        unusable = [checks.json_check(), checks.twice_check()]
        if plan.explode is not None:
            unusable.append(checks.explode_check(str(plan.explode), self._event.json(plan.explode)))
            unusable.append(checks.swollen_check(str(plan.explode)))
        self.rows = _query([("line", ROW_LINE), *stack], select_rows(plan, top))
        self.words = _query([("line", DEAD_LINE), *stack], select_words(self._checks, unusable, top))

    def _paths(self) -> list[Path]:
        paths = [value.path for value in self._plan.values if value.path is not None]
        return [*paths, self._plan.time.path] if self._plan.time else paths

    def _event_paths(self) -> list[Path]:
        return [path for path in self._paths() if self._within(path) is None]

    def _element_paths(self) -> list[Path]:
        return [inner for path in self._paths() if (inner := self._within(path)) is not None]

    def _within(self, path: Path) -> Path | None:
        """Return ``path`` inside the exploded element; None where it reads the event itself."""
        return path.below(self._plan.explode) if self._plan.explode is not None else None

    def _text(self, path: Path) -> str:
        inner = self._within(path)
        return self._event.text(path) if inner is None else self._element.text(inner)

    def _json(self, path: Path) -> str:
        inner = self._within(path)
        return self._event.json(path) if inner is None else self._element.json(inner)

    def _levels(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the SELECT list of each level above ``line``; each reads the one before."""
        listed = self._event.json(self._plan.explode) if self._plan.explode is not None else ""
        values = self._value_selections()
        broken = f"{self._broken()} AS broken"
        yield "read", _more(self._event.reading("raw"))
        if self._plan.explode is None:
            yield "text", _more([broken, "CAST(0 AS INTEGER) AS item", *self._event.unpacking()])
        else:
            yield "listed", _more([broken, f"json_type({listed}) AS shape"])
            yield from _numbered("around_level", self._outside.levels() if self._outside else [])
            around = [self._outside.name] if self._outside else []
            yield from exploded(listed, [*around, *self._event.sources(self._event_paths())])
            yield "parts", _more(self._element.reading("element"))
            yield "text", _more([*self._event.unpacking(), *self._element.unpacking()])
        yield "value", _more(values)
        yield "timed", _more([f"{self._moment()} AS {MOMENT}"])
        for number, level in enumerate(self._plan.levels):
            yield f"computed{number}", _more(_computed(value) for value in level)
            yield f"level{number}", _more(f"{_typed(value)} AS {value.column}" for value in level)
        if self._plan.where:
            # Unknown counts as no; only a failure leaves NULL.
            yield "judged", _more([f"TRY(coalesce({self._plan.where.sql}, false)) AS kept"])
        settled = ("settled", _more([f"{self._state()} AS state"]))
        rest = list(self._rest_levels())
        yield from [*rest, settled] if self._plan.unmapped is Unmapped.REJECT else [settled, *rest]
        if self._plan.contract in LENIENT:
            yield "variant", _more([f"{variant(map(self._misfit, self._tolerated), f'state = {ROW}')} AS variant"])
            yield "extra", _more([f"{extra('rest' if rest else None, 'variant')} AS extra"])

    def _misfit(self, check: Check) -> Misfit:
        value = next(value for value in self._plan.values if value.column == check.column)
        if value.path is None:
            return Misfit(value.name, check.condition, f"to_json({checks.result_column(value)})")
        inner = self._within(value.path)
        document, path = ("raw", value.path) if inner is None else ("element", inner)
        return Misfit(value.name, check.condition, f"json_extract({document}, {sql.texts([path.pointer])})[1]")

    def _broken(self) -> str:
        return "v IS NULL" if self._any_root else f"v IS NULL OR NOT {_IS_OBJECT}"

    def _value_selections(self) -> list[str]:
        selections = [
            f"nullif(CAST({self._json(value.path)} AS VARCHAR), 'null') AS {value.column}"
            if value.type is FieldType.JSON
            else f"{from_text(self._text(value.path), value.type)} AS {value.column}"
            for value in self._plan.values
            if value.path is not None
        ]
        time = self._plan.time
        return [*selections, f"{moment_of_text(self._text(time.path), time.form)} AS stamped"] if time else selections

    def _moment(self) -> str:
        receipt = "make_timestamp(received_us)"
        return f"coalesce(stamped, {receipt})" if self._plan.time else receipt

    def _leftovers(self) -> tuple[Leftover | None, Leftover | None]:
        """Return what is left of the document that rows are read from, and with ``explode`` what is left around it."""
        plan = self._plan
        if plan.unmapped is Unmapped.DROP:
            return None, None
        reject = plan.unmapped is Unmapped.REJECT
        exploded = [Path(plan.explode.names)] if plan.explode else []
        event = read_tree([*self._event_paths(), *exploded], reject)
        usable = f"NOT {self._unusable()}" if reject else f"state = {ROW}"
        if plan.explode is None:
            is_object = _IS_OBJECT if self._any_root else "true"
            return Leftover("unread", "raw", self._event, event, usable, is_object), None
        element = read_tree(self._element_paths(), reject)
        inside = Leftover("unread", "element", self._element, element, usable, "json_type(element) = 'OBJECT'")
        around = Leftover("around", "raw", self._event, event, "NOT broken", "true")
        # Around the element is done once for the event: for each element it would take quadratic time.
        return inside, around if plan.explode.steps else None

    def _rest_levels(self) -> Iterator[tuple[str, str]]:
        if self._inside is not None:
            rest = "unread"
            if self._outside is not None:
                rest = with_member("around", str(self._plan.explode)[1:].removeprefix("."), "unread")
            yield from _numbered("unread_level", self._inside.levels())
            yield "rest", _more([f"{rest} AS rest"])

    def _unusable(self) -> str:
        return "broken" if self._plan.explode is None else UNFIT

    def _all_checks(self) -> list[Check]:
        plan = self._plan
        found = [checks.moment_check(plan.time, self._text(plan.time.path))] if plan.time else []
        found += checks.value_checks(plan, self._checked_text)
        if plan.where is not None:
            found.append(checks.where_check(plan.where))
        if plan.unmapped is Unmapped.REJECT:
            found.append(checks.unmapped_check("rest"))
        return found

    def _checked_text(self, value: Value) -> str:
        return value.column if value.path is None or value.type is FieldType.JSON else self._text(value.path)

    def _state(self) -> str:
        where, conditions = self._plan.where, dict.fromkeys(one.condition for one in self._checks if not one.drift)
        drift = dict.fromkeys(one.condition for one in self._checks if one.drift)
        fine = f"WHEN {sql.any_of(drift)} THEN {DRIFT} ELSE {ROW} END" if drift else f"ELSE {ROW} END"
        if where is None:
            return f"CASE WHEN {sql.any_of([self._unusable(), *conditions])} THEN {DEAD} {fine}"
        needed = {*self._plan.needed_by(where), "kept"}
        early = [check.condition for check in self._checks if check.unreadable and check.column in needed]
        late = [condition for condition in conditions if condition not in early]
        return (
            f"CASE WHEN {sql.any_of([self._unusable(), *early])} THEN {DEAD} WHEN NOT kept THEN {FILTERED}"
            f" WHEN {sql.any_of(late)} THEN {DEAD} {fine}"
        )


def _query(levels: list[tuple[str, str]], selection: str) -> str:
    (first, line), *others = levels
    written = [f"{first} AS ({line})"]
    below = first
    for name, selected in others:
        written.append(f"{name} AS (SELECT {selected} FROM {below})")  # noqa: S608 - quoted
        below = name
    return "WITH " + ",\n".join(written) + "\n" + selection


def _more(selections: Iterable[str]) -> str:
    return ", ".join(["*", *selections])


def _numbered(name: str, levels: Iterable[list[str]]) -> Iterator[tuple[str, str]]:
    for number, selections in enumerate(levels):
        yield f"{name}{number}", _more(selections)


def _computed(value: Value) -> str:
    written = value.formula.sql if value.formula else "NULL"
    return f"TRY({{'v': {written}}}) AS {checks.failure_column(value)}"


def _typed(value: Value) -> str:
    held = value.formula.held if value.formula else '"NULL"'
    return from_value(checks.result_column(value), held, value.type) or "NULL"
