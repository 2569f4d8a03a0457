"""What an expression may consist of: the functions and the kinds of syntax. Everything not named here is refused.

A function is here only if it is pure, gives one value for one row, and cannot make much out of little.
"""

from sqlglot import exp

FUNCTIONS: dict[str, type[exp.Expression]] = {
    "abs": exp.Abs,
    "ceil": exp.Ceil,
    "ceiling": exp.Ceil,
    "coalesce": exp.Coalesce,
    "concat": exp.Concat,
    "contains": exp.Contains,
    "date_diff": exp.DateDiff,
    "date_trunc": exp.TimestampTrunc,
    "epoch": exp.TimeToUnix,
    "exp": exp.Exp,
    "extract": exp.Extract,
    "floor": exp.Floor,
    "greatest": exp.Greatest,
    "if": exp.If,
    "ifnull": exp.Coalesce,
    "least": exp.Least,
    "left": exp.Left,
    "len": exp.Length,
    "length": exp.Length,
    "ln": exp.Ln,
    "log": exp.Log,
    "log10": exp.Log,
    "lower": exp.Lower,
    "ltrim": exp.Trim,
    "mod": exp.Mod,
    "nullif": exp.Nullif,
    "power": exp.Pow,
    "regexp_matches": exp.RegexpLike,
    "replace": exp.Replace,
    "reverse": exp.Reverse,
    "right": exp.Right,
    "round": exp.Round,
    "rtrim": exp.Trim,
    "sign": exp.Sign,
    "split_part": exp.SplitPart,
    "sqrt": exp.Sqrt,
    "starts_with": exp.StartsWith,
    "strftime": exp.TimeToStr,
    "strpos": exp.StrPosition,
    "substr": exp.Substring,
    "substring": exp.Substring,
    "trim": exp.Trim,
    "trunc": exp.Trunc,
    "upper": exp.Upper,
}

# Functions that the parser does not know by name; they are written out as they came.
PLAIN_FUNCTIONS = frozenset({"date_part"})

ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Neg, exp.Pow)
COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Between, exp.In)
LOGIC = (exp.And, exp.Or, exp.Not)
NUMERIC_FUNCTIONS = (
    exp.Abs, exp.Ceil, exp.Exp, exp.Floor, exp.Ln, exp.Log, exp.Round, exp.Sign, exp.Sqrt, exp.Trunc,
)  # fmt: skip
PASSING = (exp.Paren, exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.Case, exp.If)  # give what they are given

SYNTAX: frozenset[type[exp.Expression]] = frozenset(
    {
        *FUNCTIONS.values(), *ARITHMETIC, *COMPARISONS, *LOGIC,
        exp.Paren, exp.Case, exp.Cast, exp.TryCast, exp.DataType, exp.DataTypeParam, exp.DPipe, exp.Is, exp.Like,
        exp.ILike, exp.Escape, exp.Interval, exp.Var, exp.Literal, exp.Boolean, exp.Null, exp.Column, exp.Identifier,
    }
)  # fmt: skip

# What must stand in the text itself: a pattern is compiled once, and a value cannot choose it.
CONSTANT_ARGUMENTS: dict[type[exp.Expression], str] = {
    exp.RegexpLike: "expression",
    exp.Escape: "expression",
    exp.Replace: "replacement",
    exp.TimeToStr: "format",
}

_INTEGER = exp.DType.BIGINT
_TEXT = exp.DType.VARCHAR
CAST_TYPES: dict[exp.DType, exp.DType] = {
    exp.DType.TINYINT: _INTEGER,
    exp.DType.SMALLINT: _INTEGER,
    exp.DType.INT: _INTEGER,
    exp.DType.BIGINT: _INTEGER,
    exp.DType.FLOAT: exp.DType.DOUBLE,
    exp.DType.DOUBLE: exp.DType.DOUBLE,
    exp.DType.DECIMAL: exp.DType.DECIMAL,
    exp.DType.BOOLEAN: exp.DType.BOOLEAN,
    exp.DType.TEXT: _TEXT,
    exp.DType.VARCHAR: _TEXT,
    exp.DType.CHAR: _TEXT,
    exp.DType.DATE: exp.DType.DATE,
    exp.DType.TIMESTAMP: exp.DType.TIMESTAMP,
    exp.DType.TIMESTAMPNTZ: exp.DType.TIMESTAMP,
    exp.DType.TIMESTAMPTZ: exp.DType.TIMESTAMP,
    exp.DType.DATETIME: exp.DType.TIMESTAMP,
}
CAST_NAMES = ("string", "integer", "float", "decimal", "boolean", "timestamp", "date")
