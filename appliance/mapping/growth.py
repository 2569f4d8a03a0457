"""How much text an expression can make: a bound, found without running it.

Text in DuckDB is not held to its memory limit, and ten fields that each join the one before ten times would make 10 GB
of ten bytes. So each text is bounded as so many times the event's own length and so many characters besides.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlglot import exp

from appliance.domain.mapping import FieldType
from appliance.mapping.inference import alternatives
from appliance.mapping.plan import MOMENT, Formula, Plan, Value

MOST_TIMES = 64
MOST_CHARACTERS = 65_536
_NUMBER = 64  # characters of a number or an instant, written out

_TEXTS = frozenset({FieldType.STRING, FieldType.JSON})
_MAKING = (exp.DPipe, exp.Concat, exp.Replace)
_CUTTING = (exp.Lower, exp.Upper, exp.Trim, exp.Substring, exp.Left, exp.Right, exp.Reverse, exp.SplitPart)


@dataclass(frozen=True)
class Growth:
    """Text of at most ``times`` the event's length and ``characters`` more."""

    times: float = 0
    characters: float = 0

    def __add__(self, other: "Growth") -> "Growth":
        return Growth(self.times + other.times, self.characters + other.characters)

    def scaled(self, factor: float) -> "Growth":
        return Growth(self.times * factor, self.characters * factor)

    @property
    def too_much(self) -> bool:
        return self.times > MOST_TIMES or self.characters > MOST_CHARACTERS


EVENT = Growth(times=1)
NUMBER = Growth(characters=_NUMBER)


def excessive(plan: Plan) -> Iterator[tuple[Value | None, Growth]]:
    """Yield the values whose expression may make too much text, with how much; None stands for ``where``."""
    sizes = {value.column: EVENT if value.type in _TEXTS else NUMBER for value in plan.values} | {MOMENT: NUMBER}

    def worst(formula: Formula) -> Growth:
        columns = {name: column for column, name in formula.inputs.items()}
        tree = formula.expression.tree
        made = [growth(node, lambda name: sizes[columns[name]]) for node in (tree, *tree.find_all(*_MAKING))]
        return max(made, key=lambda one: (one.too_much, one.times, one.characters))

    for value in (value for level in plan.levels for value in level):
        if value.formula is not None:
            size = worst(value.formula)
            if size.too_much:
                yield value, size
            if value.type in _TEXTS:
                sizes[value.column] = size
    if plan.where is not None and worst(plan.where).too_much:
        yield None, worst(plan.where)


def growth(node: exp.Expr, of: Callable[[str], Growth]) -> Growth:
    """Return the bound of what ``node`` gives; ``of`` gives that of a name."""
    if isinstance(node, exp.Column):
        return of(node.name)
    if isinstance(node, exp.Literal):
        return Growth(characters=len(node.name))
    if isinstance(node, (exp.DPipe, exp.Concat)):
        return sum((growth(part, of) for part in node.iter_expressions()), Growth())
    if isinstance(node, exp.Replace):
        return growth(node.this, of).scaled(_factor(node))
    if isinstance(node, (*_CUTTING, exp.Cast)):
        return growth(node.this, of)
    if isinstance(node, exp.TimeToStr):
        return NUMBER + Growth(characters=16 * len(node.args["format"].name))
    parts = [growth(part, of) for part in alternatives(node)]
    longest = Growth(max((p.times for p in parts), default=0), max((p.characters for p in parts), default=0))
    return longest if parts else NUMBER


def _factor(node: exp.Replace) -> float:
    new, old = (len(node.args[key].name) if key in node.args else 0 for key in ("replacement", "expression"))
    return max(1.0, new / max(1, old))
