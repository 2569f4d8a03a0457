"""What makes an event a dead letter: for each rule of the mapping a condition, and the words that tell a person."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from appliance.domain.mapping import Field, FieldType
from appliance.mapping import sql
from appliance.mapping.plan import MOMENT, Formula, Moment, Plan, Value

EXPECTED: dict[FieldType, str] = {
    FieldType.STRING: "text",
    FieldType.INTEGER: "a whole number of 64 bits",
    FieldType.FLOAT: "a number",
    FieldType.DECIMAL: "a number of at most 29 digits before the point",
    FieldType.BOOLEAN: "true or false",
    FieldType.TIMESTAMP: "a time between 1900 and 2200",
    FieldType.JSON: "JSON",
}
_KEPT = 256  # characters of a value in a dead letter
_SHOWN = 80  # characters of a value in a message
_LISTED = 10  # values of an enum in a message


@dataclass(frozen=True)
class Check:
    """One way to be wrong. ``condition``, ``value`` and ``message`` are SQL; ``unless`` are conditions that explain it.

    ``unreadable``: the value cannot be known, so that ``where`` cannot judge by it (by one out of bounds it can).
    ``drift``: with a frozen mapping it is no dead letter but the end of refining.
    """

    reason: str
    field: str | None
    condition: str
    value: str
    message: str
    unreadable: bool = False
    column: str = ""
    unless: tuple[str, ...] = ()
    drift: bool = False


def value_checks(plan: Plan, text: Callable[[Value], str]) -> list[Check]:
    """Return the checks of all values; ``text`` gives the SQL name of a read value's text."""
    checks: list[Check] = []
    for value in plan.values:
        read = _read_checks(value, text(value)) if value.formula is None else _computed_checks(value, value.formula)
        checks.extend(read)
        if value.rules is not None:
            checks.extend(_limit_checks(value, value.rules))
    return checks


def excused(checks: list[Check], plan: Plan) -> list[Check]:
    """Return ``checks``, those excused that another one explains."""
    return [_excused(check, plan, checks) for check in checks]


def _excused(check: Check, plan: Plan, others: list[Check]) -> Check:
    """Return ``check`` so that a computed value is not called missing where one of its inputs is the trouble."""
    formula = next((value.formula for value in plan.values if value.column == check.column), None)
    if check.reason != "required" or formula is None:
        return check
    needed = plan.needed_by(formula)
    excuses = (other.condition for other in others if other.unreadable and other.column in needed)
    return replace(check, unless=tuple(excuses))


def json_check() -> Check:
    """Return the check of events that are no JSON, or none that paths could be followed in."""
    unreadable, odd = sql.text("the event is not readable as JSON: "), sql.text("the event must be a JSON object, got ")
    message = f"CASE WHEN v IS NULL THEN {unreadable} ELSE {odd} END || {_short('raw')}"
    return Check("json", None, "broken", "raw", message)


def twice_check() -> Check:
    """Return the check of events in which a top-level key stands twice."""
    repeated = "list_filter(json_keys(raw), lambda k, place: list_position(json_keys(raw), k) < place)"
    names = f"array_to_string(list_sort(list_distinct({repeated})), ', ')"
    told = sql.text("the event has a key more than once, so that its value is unclear: ")
    return Check("json", None, "twice", "raw", f"{told} || {_short(names)}")


def explode_check(path: str, listed: str) -> Check:
    """Return the check of events in which the value to be exploded, SQL ``listed``, is no array."""
    told = sql.text(f"{path} must be an array to make rows of, got ")
    text = f"CAST({listed} AS VARCHAR)"
    return Check("explode", None, "misfit", text, f"{told} || {_short(text)}")


def swollen_check(path: str) -> Check:
    """Return the check of events whose rows would be out of proportion to the event."""
    told = "concat('the event has ', elements, ' elements in ', " + sql.text(path)
    told += ", ' and each row would repeat ', around_bytes, ' bytes from around them, which is too much for one event')"
    return Check("limit", None, "swollen", "elements", told)


def moment_check(time: Moment, text: str) -> Check:
    """Return the check of the event's own time; ``text`` is the SQL name of its text."""
    told = f"the event's time must be {EXPECTED[FieldType.TIMESTAMP]} in the format {time.form!r}, got "
    condition = f"stamped IS NULL AND {text} IS NOT NULL"
    return Check("time", "_time", condition, text, f"{sql.text(told)} || {_short(text)}", True, MOMENT)


def unmapped_check(rest: str) -> Check:
    """Return the check for ``unmapped: reject``; ``rest`` is the SQL name of what is left."""
    told = sql.text("the event has keys that no field reads: ")
    names = f"array_to_string(json_keys({rest}), ', ')"
    return Check("unmapped", None, f"{rest} IS NOT NULL", rest, f"{told} || coalesce({_short(names)}, {_short(rest)})")


def where_check(where: Formula) -> Check:
    """Return the check for a condition that fails on an event's values."""
    told = sql.text(f"the condition ({where.text}) cannot be computed from this event's values")
    return Check("where", None, "kept IS NULL", _inputs(where), told, True, "kept")


def problems(found: list[Check], unusable: list[Check]) -> str:
    """Return SQL for the list of all problems of an event; those of ``unusable`` stand alone."""
    parts = sql.array(f"CASE WHEN {_applies(check)} THEN {_problem(check)} END" for check in found)
    listed = f"list_filter({parts}, lambda problem: problem IS NOT NULL)" if found else "[]"
    alone = " ".join(f"WHEN {check.condition} THEN [{_problem(check)}]" for check in unusable)
    return f"CASE {alone} ELSE {listed} END"


def _applies(check: Check) -> str:
    return f"({check.condition}) AND NOT {sql.any_of(check.unless)}" if check.unless else check.condition


def _problem(check: Check) -> str:
    field = sql.text(check.field) if check.field else "CAST(NULL AS VARCHAR)"
    value = f"left(CAST({check.value} AS VARCHAR), {_KEPT})"
    return f"{{'reason': {sql.text(check.reason)}, 'field': {field}, 'value': {value}, 'message': {check.message}}}"


def _read_checks(value: Value, text: str) -> Iterator[Check]:
    if value.type not in {FieldType.STRING, FieldType.JSON}:  # any value has a text
        told = sql.text(f"{value.name} must be {EXPECTED[value.type]}, got ")
        condition = f"{value.column} IS NULL AND {text} IS NOT NULL"
        yield Check("type", value.name, condition, text, f"{told} || {_short(text)}", True, value.column)
    if value.rules is not None and value.rules.required:
        told = sql.text(f"{value.name} is required and {value.rules.path} is missing or null")
        yield Check("required", value.name, f"{text} IS NULL", "NULL", told, True, value.column)


def _computed_checks(value: Value, formula: Formula) -> Iterator[Check]:
    outcome, got = failure_column(value), result_column(value)
    told = sql.text(f"{value.name} cannot be computed: {formula.text} fails on this event's values")
    yield Check("expr", value.name, f"{outcome} IS NULL", _inputs(formula), told, True, value.column)
    wrong = sql.text(f"{value.name} must be {EXPECTED[value.type]} and {formula.text} gives ")
    shown = f"CAST({got} AS VARCHAR)"
    unfit = f"{value.column} IS NULL AND {got} IS NOT NULL"
    # A float that is none is NaN or infinite: computing failed, only without saying so.
    reason = "expr" if value.type is FieldType.FLOAT and formula.held != "VARCHAR" else "type"
    yield Check(reason, value.name, unfit, shown, f"{wrong} || {_short(shown)}", True, value.column)
    if value.rules is not None and value.rules.required:
        empty = sql.text(f"{value.name} is required and {formula.text} gives no value")
        condition = f"{outcome} IS NOT NULL AND {got} IS NULL"
        yield Check("required", value.name, condition, _inputs(formula), empty, True, value.column)


def failure_column(value: Value) -> str:
    """Return the SQL name of the struct that holds a computed value; NULL where computing failed."""
    return f"c{value.column}"


def result_column(value: Value) -> str:
    """Return SQL for a computed value before it has its declared type."""
    return f"c{value.column}.v"


def _limit_checks(value: Value, rules: Field) -> Iterator[Check]:
    shown = f"CAST({value.column} AS VARCHAR)"
    for reason, limit, sign, words in (("min", rules.min, "<", "at least"), ("max", rules.max, ">", "at most")):
        if limit is not None:
            told = sql.text(f"{value.name} must be {words} {limit:.15g}, got ")
            condition = f"{value.column} {sign} {_number(limit, value.type)}"
            yield Check(reason, value.name, condition, shown, f"{told} || {_short(shown)}")
    if rules.enum is not None:
        listed = ", ".join(str(item).lower() if isinstance(item, bool) else str(item) for item in rules.enum[:_LISTED])
        more = ", …" if len(rules.enum) > _LISTED else ""
        told = sql.text(f"{value.name} must be one of {listed}{more}, got ")
        allowed = ", ".join(_literal(item, value.type) for item in rules.enum)
        yield Check("enum", value.name, f"{value.column} NOT IN ({allowed})", shown, f"{told} || {_short(shown)}")


def _number(limit: float, kind: FieldType) -> str:
    if kind is FieldType.FLOAT:
        return f"CAST('{limit!r}' AS DOUBLE)"
    return format(Decimal(repr(limit)).normalize(), "f")


def _literal(item: str | bool | float, kind: FieldType) -> str:
    if isinstance(item, str):
        return sql.text(item)
    if isinstance(item, bool):
        return str(item).lower()
    return str(item) if isinstance(item, int) else _number(item, kind)


def _inputs(formula: Formula) -> str:
    """Return SQL for the values that went in, as JSON."""
    if not formula.inputs:
        return "NULL"
    members = ", ".join(f"{sql.text(name)}: {column}" for column, name in formula.inputs.items())
    return f"CAST(to_json({{{members}}}) AS VARCHAR)"


def _short(text: str) -> str:
    return f"CASE WHEN length({text}) > {_SHOWN} THEN left({text}, {_SHOWN}) || '…' ELSE {text} END"
