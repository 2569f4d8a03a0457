"""How a name that no field declares is read: as a number, as a condition or as text, judged by its use.

In ``(temp_f - 32) * 5 / 9`` the event's ``temp_f`` is a number, in ``status <> 'test'`` its ``status`` is text, in
``NOT muted`` its ``muted`` is true or false.
"""

from collections.abc import Callable, Iterator

from sqlglot import exp

from appliance.domain.mapping import FieldType
from appliance.mapping import grammar
from appliance.mapping.expression import Expression

Declared = Callable[[str], FieldType | None]
NUMBERS = frozenset({FieldType.INTEGER, FieldType.FLOAT, FieldType.DECIMAL})
_NUMERIC_CASTS = frozenset({exp.DType.BIGINT, exp.DType.DOUBLE, exp.DType.DECIMAL})


def inferred(expression: Expression, declared: Declared) -> Iterator[tuple[str, FieldType]]:
    """Yield how each undeclared name is used, once for each use. ``declared`` gives the type of declared names."""
    for column in expression.tree.find_all(exp.Column):
        if declared(column.name) is None:
            yield column.name, _use(column, declared)


def strongest(uses: set[FieldType]) -> FieldType:
    """Return the type that serves all ``uses`` of a name: a number wherever one use needs a number."""
    return next((kind for kind in (FieldType.FLOAT, FieldType.BOOLEAN) if kind in uses), FieldType.STRING)


def _use(node: exp.Expression, declared: Declared) -> FieldType:
    parent = node.parent
    if isinstance(parent, (*grammar.ARITHMETIC, *grammar.NUMERIC_FUNCTIONS)):
        return FieldType.FLOAT
    if isinstance(parent, grammar.LOGIC):
        return FieldType.BOOLEAN
    if isinstance(parent, exp.If) and node is parent.this and not _compared_case(parent):
        return FieldType.BOOLEAN
    if parent is None or not isinstance(parent, (*grammar.COMPARISONS, *grammar.PASSING, exp.Is)):
        return FieldType.STRING
    others = [other for other in parent.iter_expressions() if other is not node]
    if any(_is_number(other, declared) for other in others):
        return FieldType.FLOAT
    if any(isinstance(other, exp.Boolean) for other in others):
        return FieldType.BOOLEAN
    return _use(parent, declared) if isinstance(parent, grammar.PASSING) else FieldType.STRING


def _compared_case(branch: exp.If) -> bool:
    """Return whether ``branch`` belongs to CASE x WHEN y: its WHEN is a value, no condition."""
    return isinstance(branch.parent, exp.Case) and branch.parent.this is not None


def _is_number(node: exp.Expression, declared: Declared) -> bool:
    if isinstance(node, exp.Literal):
        return not node.is_string
    if isinstance(node, exp.Column):
        return declared(node.name) in NUMBERS
    if isinstance(node, exp.Cast):
        return grammar.CAST_TYPES.get(node.to.this) in _NUMERIC_CASTS
    if isinstance(node, grammar.PASSING):
        return any(_is_number(inner, declared) for inner in node.iter_expressions())
    return isinstance(node, (*grammar.ARITHMETIC, *grammar.NUMERIC_FUNCTIONS, exp.Length))
