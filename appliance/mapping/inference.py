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


def inferred(expression: Expression, declared: Declared, condition: bool) -> Iterator[tuple[str, FieldType]]:
    """Yield how each undeclared name is used, once for each use.

    ``declared`` gives the type of declared names; ``condition``: the expression as a whole is one.
    """
    whole = FieldType.BOOLEAN if condition else FieldType.STRING
    for column in expression.tree.find_all(exp.Column):
        if declared(column.name) is None:
            yield column.name, _use(column, declared, whole)


def strongest(uses: set[FieldType]) -> FieldType:
    """Return the type that serves all ``uses`` of a name: a number wherever one use needs a number."""
    return next((kind for kind in (FieldType.FLOAT, FieldType.BOOLEAN) if kind in uses), FieldType.STRING)


def _use(node: exp.Expr, declared: Declared, whole: FieldType) -> FieldType:
    parent = node.parent
    if parent is None:
        return whole
    if isinstance(parent, (*grammar.ARITHMETIC, *grammar.NUMERIC_FUNCTIONS)):
        return FieldType.FLOAT
    if isinstance(parent, grammar.LOGIC) or _is_branch_condition(node, parent):
        return FieldType.BOOLEAN
    if not isinstance(parent, (*grammar.COMPARISONS, *grammar.PASSING, exp.Is)):
        return FieldType.STRING
    peers = _peers(node, parent)
    if any(_is_number(peer, declared) for peer in peers):
        return FieldType.FLOAT
    if any(isinstance(peer, exp.Boolean) for peer in peers):
        return FieldType.BOOLEAN
    return _use(_choice(parent), declared, whole) if _is_among(node, alternatives(parent)) else FieldType.STRING


def _is_branch_condition(node: exp.Expr, parent: exp.Expr) -> bool:
    return isinstance(parent, exp.If) and node is parent.this and not _compares(parent.parent)


def _compares(case: exp.Expr | None) -> bool:
    """Return whether ``case`` is CASE x WHEN y: its WHENs are values, no conditions."""
    return isinstance(case, exp.Case) and case.this is not None


def _choice(node: exp.Expr) -> exp.Expr:
    """Return the CASE to which ``node``, one of its branches, belongs; any other node as it is."""
    return node.parent if isinstance(node, exp.If) and isinstance(node.parent, exp.Case) else node


def _peers(node: exp.Expr, parent: exp.Expr) -> list[exp.Expr]:
    """Return what ``node`` is compared with, or may be given instead of it."""
    case = _choice(parent)
    if not isinstance(case, (exp.Case, exp.If)):
        return [other for other in parent.iter_expressions() if other is not node]
    results = alternatives(case)
    if _is_among(node, results):
        return [other for other in results if other is not node]
    compared = [case.this, *(branch.this for branch in case.args.get("ifs", ()))]
    return [other for other in compared if other is not None and other is not node]


def alternatives(node: exp.Expr) -> list[exp.Expr]:
    """Return the parts of which ``node`` gives one, as it is."""
    if isinstance(node, exp.Case):
        given = [branch.args.get("true") for branch in node.args.get("ifs", ())] + [node.args.get("default")]
    elif isinstance(node, exp.If):
        given = [node.args.get("true"), node.args.get("false")]
    elif isinstance(node, exp.Nullif):
        given = [node.this]
    else:
        given = list(node.iter_expressions()) if isinstance(node, grammar.PASSING) else []
    return [part for part in given if part is not None]


def _is_among(node: exp.Expr, others: list[exp.Expr]) -> bool:
    return any(node is other for other in others)  # == would compare what they say


def _is_number(node: exp.Expr, declared: Declared) -> bool:
    if isinstance(node, exp.Literal):
        return not node.is_string
    if isinstance(node, exp.Column):
        return declared(node.name) in NUMBERS
    if isinstance(node, exp.Cast):
        return grammar.CAST_TYPES.get(node.to.this) in _NUMERIC_CASTS
    if isinstance(node, (*grammar.ARITHMETIC, *grammar.NUMERIC_FUNCTIONS, exp.Length)):
        return True
    return any(_is_number(part, declared) for part in alternatives(node))
