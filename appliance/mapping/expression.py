"""Parses an expression and checks it against the grammar. What runs later is generated from the checked tree alone."""

import difflib
import functools
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, ParseError, SqlglotError, TokenError

from appliance.mapping import grammar

LONGEST = 2_000
DEEPEST = 32  # the parser takes 21 stack frames a level, of the 1,000 that Python has
MOST_NODES = 500
_DESCRIPTIONS: tuple[tuple[tuple[type, ...], str], ...] = (
    ((exp.Query, exp.Subquery, exp.Exists), "a query inside an expression"),
    ((exp.Window,), "a window (OVER)"),
    ((exp.Placeholder, exp.Parameter), "a parameter"),
    ((exp.Star,), "'*'"),
    ((exp.Alias, exp.Aliases), "a name for a result (or two values side by side)"),
    ((exp.JSONExtract, exp.JSONExtractScalar, exp.Bracket, exp.Dot), "a step into a value (a field's path does that)"),
    ((exp.Command, exp.DDL, exp.DML), "a statement"),
)


@dataclass(frozen=True)
class Flaw:
    """One thing wrong with an expression: ``message`` shows the place, ``hint`` says what would do."""

    message: str
    hint: str | None = None


class ExpressionError(ValueError):
    """The text is no expression that may run; ``flaws`` lists all that was found."""

    def __init__(self, flaws: list[Flaw]) -> None:
        self.flaws = flaws
        super().__init__("; ".join(flaw.message for flaw in flaws))


@dataclass(frozen=True)
class Expression:
    """A checked scalar expression. ``names``: what it reads, as written, in order of first use."""

    text: str
    tree: exp.Expression
    names: tuple[str, ...]

    def sql(self, column: Callable[[str], str]) -> str:
        """Return DuckDB SQL in which each name has become ``column(name)``, a plain SQL name."""
        tree = self.tree.copy()
        _settle_casts(tree)
        for division in list(tree.find_all(exp.IntDiv)):  # of floats DuckDB's // is no whole number
            whole = exp.Trunc(this=exp.null())
            if division is tree:
                tree = whole
            else:
                division.replace(whole)
            whole.set("this", division)
        for name in list(tree.find_all(exp.Column)):
            name.set("this", exp.to_identifier(column(name.name)))
        return tree.sql(dialect="duckdb", comments=False)


def parse_expression(text: str) -> Expression:
    """Return the expression that ``text`` writes.

    Raises:
        ExpressionError: it is none, or uses something that is not allowed.
    """
    tree = _tree(text)
    flaws = list(_flaws(text, tree)) or list(_size_flaws(tree))
    if flaws:
        raise ExpressionError(flaws)
    columns = sorted(tree.find_all(exp.Column), key=lambda column: _span(column)[0])
    return Expression(text, tree, tuple(dict.fromkeys(column.name for column in columns)))


def pointed(text: str, start: int, end: int, message: str) -> str:
    """Return ``message`` with line and column, and below it the line of ``text`` with carets under start … end."""
    begin = text.rfind("\n", 0, start) + 1
    line = text[begin:].split("\n", 1)[0]
    row, column = text.count("\n", 0, start) + 1, start - begin + 1
    left = max(0, column - 61)
    carets = "^" * max(1, min(end - start, len(line) - column + 1))
    shown = f"  {line[left : left + 120]}\n  {' ' * (column - 1 - left)}{carets}"
    return f"{message} (line {row}, column {column})\n{shown}"


def _tree(text: str) -> exp.Expression:
    if len(text) > LONGEST:
        raise _error(f"the expression is {len(text):,} characters long and at most {LONGEST:,} are allowed")
    odd = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", text)
    if odd:
        raise _error(f"the expression holds a control character at character {odd.start() + 1}")
    try:
        if any(token.comments for token in sqlglot.tokenize(text, dialect="duckdb")):
            raise _error("a comment inside an expression is not allowed", "use the field's description")
        found = _parsed(text)
    except RecursionError as error:
        raise _error(f"the expression nests deeper than the {DEEPEST} levels that are allowed") from error
    except ParseError as error:
        raise _syntax_error(text, error) from error
    except TokenError as error:
        raise _error("a quote in the expression is not closed", "text stands in 'single quotes'") from error
    except SqlglotError as error:
        raise _error(f"the expression cannot be read: {error}") from error
    if len(found) > 1:
        raise _error("one expression is wanted, ';' is not allowed")
    if not found or not isinstance(found[0], exp.Expression):
        raise _error("the expression is empty", "leave it out, or write one such as temp_f * 2")
    return found[0]


def _parsed(text: str) -> list[exp.Expr | None]:
    parse = functools.partial(sqlglot.parse, text, dialect="duckdb", error_level=ErrorLevel.IMMEDIATE)
    try:
        return parse()
    except RecursionError:
        # How deep is too deep must not depend on who calls: a thread begins with an empty stack.
        with ThreadPoolExecutor(max_workers=1) as fresh:
            return fresh.submit(parse).result()


def _error(message: str, hint: str | None = None) -> ExpressionError:
    return ExpressionError([Flaw(message, hint)])


def _syntax_error(text: str, error: ParseError) -> ExpressionError:
    told = error.errors[0] if error.errors else {}
    line, column = told.get("line") or 1, told.get("col") or 1
    described = str(told.get("description") or error).split("\n")[0]
    described = re.sub(r"^Required keyword: '\w+' missing for .*", "a value is missing", described)
    # The parser reports the last character of the token it stumbled over.
    end = sum(len(part) + 1 for part in text.split("\n")[: line - 1]) + column
    start = max(0, end - max(1, len(told.get("highlight") or "")))
    return _error(pointed(text, start, end, f"syntax error: {described[:1].lower()}{described[1:].rstrip('.')}"))


def _flaws(text: str, tree: exp.Expression) -> Iterator[Flaw]:
    """Yield what the grammar does not allow, outermost first; what stands inside of it is not looked at."""
    pending = [tree]
    while pending:
        node = pending.pop()
        flaw = _flaw(node)
        if flaw is None:
            pending.extend(reversed(list(node.iter_expressions())))
        else:
            start, end = _span(node)
            yield Flaw(pointed(text, start, end, flaw.message), flaw.hint)


def _flaw(node: exp.Expression) -> Flaw | None:
    if isinstance(node, exp.Anonymous) and node.name.lower() in grammar.PLAIN_FUNCTIONS:
        constant = bool(node.expressions) and isinstance(node.expressions[0], exp.Literal)
        return None if constant else Flaw(f"the first argument of {node.name} must be written out, as in 'hour'")
    if type(node) not in grammar.SYNTAX:
        return _refused(node)
    if isinstance(node, exp.Column) and len(node.parts) > 1:
        path = "$." + ".".join(part.name for part in node.parts)
        return Flaw(f"{node.sql()!r} steps into a value", f"declare a field with the path {path} and use its name")
    if isinstance(node, exp.In) and not node.expressions:
        query = node.args.get("query")
        return _refused(query) if query else Flaw("IN needs a list", "as in status IN ('ok', 'warn')")
    if isinstance(node, exp.Cast) and node.to.this not in grammar.CAST_TYPES:
        return Flaw(f"{node.to.sql(dialect='duckdb')!r} is no type", "the types are " + ", ".join(grammar.CAST_NAMES))
    argument = grammar.CONSTANT_ARGUMENTS.get(type(node))
    value = node.args.get(argument) if argument else None
    if value is not None and not isinstance(value, exp.Literal):
        return Flaw(f"the pattern, format or replacement {value.sql(dialect='duckdb')} must be written out as text")
    return None


def _refused(node: exp.Expression) -> Flaw:
    if isinstance(node, exp.Anonymous):
        return _unknown_function(node.name.lower())
    for kinds, described in _DESCRIPTIONS:
        if isinstance(node, kinds):
            return Flaw(f"{described} is not allowed")
    if isinstance(node, exp.AggFunc):
        return Flaw(f"{node.sql_name().lower()} looks at many records and an expression sees one")
    if isinstance(node, exp.Func):
        return _unknown_function(node.sql_name().lower())
    return Flaw(f"{node.sql(dialect='duckdb')[:80]!r} is not allowed in an expression")


def _unknown_function(name: str) -> Flaw:
    known = sorted({*grammar.FUNCTIONS, *grammar.PLAIN_FUNCTIONS, "cast", "try_cast"})
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    hint = f"did you mean {near[0]!r}?" if near else "the functions are " + ", ".join(known)
    return Flaw(f"there is no function {name!r}", hint)


def _size_flaws(tree: exp.Expression) -> Iterator[Flaw]:
    nodes, deepest = 0, 0
    pending = [(tree, 1)]
    while pending:
        node, depth = pending.pop()
        nodes, deepest = nodes + 1, max(deepest, depth)
        for child in node.iter_expressions():
            # a + b + c is a chain, not a nest: its left side is no level of its own.
            chained = child is node.this and type(child) is type(node) and isinstance(node, exp.Binary)
            pending.append((child, depth if chained or isinstance(child, exp.Identifier) else depth + 1))
    if nodes > MOST_NODES:
        yield Flaw(f"the expression has {nodes:,} parts and at most {MOST_NODES} are allowed", "split it into fields")
    if deepest > DEEPEST:
        yield Flaw(f"the expression nests {deepest} levels deep and at most {DEEPEST} are allowed")


def _span(node: exp.Expression) -> tuple[int, int]:
    starts = [(part.meta["start"], part.meta["end"] + 1) for part in node.walk() if "start" in part.meta]
    own = node.meta
    if "start" in own:
        return own["start"], own["end"] + 1
    return (min(start for start, _ in starts), max(end for _, end in starts)) if starts else (0, 1)


def _settle_casts(tree: exp.Expression) -> None:
    """Give every cast the type that its name means here: integers have 64 bits, decimals 38 digits, instants a zone."""
    for cast in list(tree.find_all(exp.Cast)):
        target = grammar.CAST_TYPES[cast.to.this]
        if target is exp.DType.TIMESTAMP:  # straight to TIMESTAMP would drop the offset that the text names
            zoned = exp.DataType(this=exp.DType.TIMESTAMPTZ)
            cast.set("this", type(cast)(this=cast.this, to=zoned))
        decimal = target is exp.DType.DECIMAL
        cast.set("to", exp.DataType.build("DECIMAL(38, 9)") if decimal else exp.DataType(this=target))
