"""Turns a mapping document into a plan, and finds everything that is wrong with it on the way."""

import duckdb

from appliance.domain.mapping import Contract, Field, Mapping, Unmapped
from appliance.errors import Problem
from appliance.mapping import sandbox, wording
from appliance.mapping.expression import Expression, ExpressionError, parse_expression
from appliance.mapping.growth import MOST_CHARACTERS, MOST_TIMES, excessive
from appliance.mapping.moment import FORMATS, moment_of_text
from appliance.mapping.names import SYSTEM, Names
from appliance.mapping.order import CycleError, in_levels
from appliance.mapping.path import Path, PathError, parse_path
from appliance.mapping.plan import Formula, Moment, Plan, Value
from appliance.mapping.reading import SQL_TYPES, from_value
from appliance.mapping.rules import field_problems

_MOST_FIELDS = 300
_MOST_KEYS = 16
_MOST_LEVELS = 32
_UNKNOWN_FIELDS: dict[Contract | None, Unmapped] = {
    Contract.EVOLVE: Unmapped.KEEP,
    Contract.FREEZE: Unmapped.REJECT,
    Contract.DISCARD_ROW: Unmapped.REJECT,
    Contract.DISCARD_VALUE: Unmapped.DROP,
}
_MOST_PLACES = 4_000  # levels of the query × values: 350 MB of DuckDB's memory limit, most of it never touched


def analyse(mapping: Mapping, pointer: str) -> tuple[Plan | None, list[Problem]]:
    """Return what ``mapping`` means, or None and all its problems; ``pointer`` is its place in a larger document."""
    analysis = _Analysis(mapping, pointer)
    plan = analysis.plan()
    return (None if analysis.problems else plan), analysis.problems


class _Analysis:
    def __init__(self, mapping: Mapping, pointer: str) -> None:
        self._mapping = mapping
        self._pointer = pointer
        self._names = Names(mapping.fields)
        self.problems: list[Problem] = []

    def plan(self) -> Plan:
        fields = self._mapping.fields
        self._check_fields()
        self._check_contract()
        explode = self._path(self._mapping.explode, "/explode")
        time = self._moment()
        paths = [self._path(field.path, f"/fields/{at}/path") for at, field in enumerate(fields)]
        expressions = [self._expression(field.expr, f"/fields/{at}/expr") for at, field in enumerate(fields)]
        where = self._expression(self._mapping.where, "/where")
        key = self._key()  # after the expressions: a name that is a number in one of them stays one
        formulas = [
            self._formula(expression, field, f"/fields/{at}/expr") if expression else None
            for at, (field, expression) in enumerate(zip(fields, expressions, strict=True))
        ]
        condition = self._formula(where, None, "/where") if where else None
        declared = [
            Value(field.name, self._names.column(field.name), field.type, path, formula, field)
            for field, path, formula in zip(fields, paths, formulas, strict=True)
        ]
        undeclared = [
            Value(name, self._names.column(name), self._names.type(name), Path((name,)))
            for name in self._names.undeclared()
        ]
        plan = Plan(
            values=(*declared, *undeclared),
            levels=self._levels(declared),
            time=time,
            explode=explode,
            where=condition,
            key=key,
            unmapped=_UNKNOWN_FIELDS.get(self._mapping.contract, self._mapping.unmapped),
            contract=self._mapping.contract,
        )
        self._check_bounds(plan)
        return plan

    def _problem(self, place: str, message: str, hint: str | None = None) -> None:
        self.problems.append(Problem(self._pointer + place, message, hint))

    def _check_fields(self) -> None:
        fields = self._mapping.fields
        if len(fields) > _MOST_FIELDS:
            self._problem("/fields", f"the mapping has {len(fields):,} fields and at most {_MOST_FIELDS} are allowed")
        seen: dict[str, int] = {}
        for at, field in enumerate(fields):
            self.problems.extend(field_problems(field, f"{self._pointer}/fields/{at}"))
            first = seen.setdefault(field.name.casefold(), at)
            if first != at:
                told = f"the name {field.name!r} is taken by field {first} ({fields[first].name!r})"
                self._problem(f"/fields/{at}/name", told, "names differ in more than the case of letters")

    def _check_contract(self) -> None:
        contract, unmapped = self._mapping.contract, self._mapping.unmapped
        # ``keep`` is what stands there when nobody wrote anything: it contradicts no contract.
        if contract is None or unmapped is Unmapped.KEEP:
            return
        if contract is Contract.FREEZE or unmapped is not _UNKNOWN_FIELDS[contract]:
            told = f"'unmapped' is {unmapped.value!r} and the contract {contract.value!r} decides about unknown fields"
            self._problem("/unmapped", told, "leave 'unmapped' out")

    def _path(self, text: str | None, place: str) -> Path | None:
        if text is None:
            return None
        try:
            return parse_path(text)
        except PathError as error:
            self._problem(place, str(error))
            return None

    def _moment(self) -> Moment | None:
        time = self._mapping.time
        if time is None:
            return None
        path = self._path(time.path, "/time/path")
        if time.format not in FORMATS and not self._is_pattern(time.format):
            hint = f"one of {', '.join(FORMATS)}, or a strptime pattern such as '%d.%m.%Y %H:%M:%S'"
            self._problem("/time/format", f"the time format {time.format!r} is not known", hint)
        return Moment(path or Path(), time.format)

    @staticmethod
    def _is_pattern(form: str) -> bool:
        if "%" not in form or "\0" in form:
            return False
        try:
            sandbox.result_types(moment_of_text("t", form), {"t": "VARCHAR"})
        except duckdb.Error:
            return False
        return True

    def _expression(self, text: str | None, place: str) -> Expression | None:
        if text is None:
            return None
        try:
            expression = parse_expression(text)
        except ExpressionError as error:
            for flaw in error.flaws:
                self._problem(place, flaw.message, flaw.hint)
            return None
        for name in expression.names:
            if name in SYSTEM:
                self._problem(place, f"{name!r} is not known before the event is stored", "use the event's own values")
        self._names.read(expression, condition=place == "/where")
        return expression

    def _key(self) -> tuple[str, ...]:
        key = self._mapping.key
        if len(key) > _MOST_KEYS:
            self._problem("/key", f"the key has {len(key)} parts and at most {_MOST_KEYS} are allowed")
        for at, name in enumerate(key):
            if not name or "\0" in name or name in SYSTEM:
                self._problem(f"/key/{at}", f"{name!r} cannot be part of the key", "name a field or a top-level key")
            elif name in key[:at]:
                self._problem(f"/key/{at}", f"{name!r} stands in the key twice", "once is enough")
            self._names.read_text(name)
        return tuple(map(self._names.column, key))

    def _formula(self, expression: Expression, field: Field | None, place: str) -> Formula | None:
        inputs = {self._names.column(name): name for name in expression.names}
        types = {column: SQL_TYPES[self._names.type(name)] for column, name in inputs.items()}
        written = expression.sql(self._names.column)
        try:
            held = sandbox.result_types(written, types)[0]
        except duckdb.Error as error:
            self._problem(place, f"the expression cannot be computed: {wording.told(error)}")
            return None
        if field is None and held not in {"BOOLEAN", '"NULL"'}:
            self._problem(
                place, f"a condition is true or false and this gives {wording.plain(held)}", "compare it: … > 0"
            )
        if field is not None and from_value("x", held, field.type) is None:
            told = f"the expression gives {wording.plain(held)}, which is never {wording.plain(field.type.value)}"
            self._problem(place, told, "change the field's type, or use CASE or CAST")
        return Formula(expression, written, inputs, held)

    def _levels(self, values: list[Value]) -> tuple[tuple[Value, ...], ...]:
        computed = {value.column: value for value in values if value.formula}
        needs = {
            column: [name for name in value.formula.inputs if name in computed]
            for column, value in computed.items()
            if value.formula
        }
        try:
            return tuple(tuple(computed[column] for column in level) for level in in_levels(needs))
        except CycleError as error:
            names = [computed[column].name for column in error.cycle]
            self._problem(
                f"/fields/{self._place(names[0])}/expr", f"the field {names[0]!r} needs itself: {' → '.join(names)}"
            )
            return ()

    def _check_bounds(self, plan: Plan) -> None:
        # Each value stands in each level of the query, with room for a vector of it.
        values, levels = len(plan.values), len(plan.levels)
        allowed = max(1, min(_MOST_LEVELS, (_MOST_PLACES // max(1, values) - 6) // 2))
        if levels > allowed:
            told = f"the fields build on each other {levels} levels deep; with {values} values {allowed} are allowed"
            self._problem("/fields", told, "compute more in one expression")
        for value, size in excessive(plan):
            place = "/where" if value is None else f"/fields/{self._place(value.name)}/expr"
            made = f"{size.times:,.0f} times the event's length and {size.characters:,.0f} characters"
            allowed_size = f"{MOST_TIMES} times and {MOST_CHARACTERS:,} characters"
            self._problem(place, f"the expression may make text of {made}, and at most {allowed_size} are allowed")

    def _place(self, name: str) -> int:
        return next(at for at, field in enumerate(self._mapping.fields) if field.name == name)
