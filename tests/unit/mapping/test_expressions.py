import pytest

from appliance.mapping.expression import ExpressionError, parse_expression


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("(temp_f - 32) * 5 / 9", "(c_temp_f - 32) * 5 / 9"),
        ("status <> 'it''s'", "c_status <> 'it''s'"),
        ("a ** 2 // 3 % 4", "TRUNC(POWER(c_a, 2) // 3) % 4"),
        ("log10(a) + ln(a)", "LOG(10, c_a) + LN(c_a)"),
        ("CASE WHEN a > 1 THEN 'x' ELSE 'y' END", "CASE WHEN c_a > 1 THEN 'x' ELSE 'y' END"),
        ("a IS NOT NULL AND NOT b IN (1, 2)", "NOT c_a IS NULL AND NOT c_b IN (1, 2)"),
        ("a BETWEEN 1 AND 2 OR b LIKE 'x%'", "c_a BETWEEN 1 AND 2 OR c_b LIKE 'x%'"),
        ("cast(a as float) + b::int", "CAST(c_a AS DOUBLE) + CAST(c_b AS BIGINT)"),
        ("try_cast(a as decimal)", "TRY_CAST(c_a AS DECIMAL(38, 9))"),
        ("cast(a as timestamp)", "CAST(CAST(c_a AS TIMESTAMPTZ) AS TIMESTAMP)"),
        ("a + interval '1 hour'", "c_a + INTERVAL '1' HOUR"),
    ],
)
def test_sql_is_generated_from_the_checked_tree(text: str, written: str) -> None:
    assert parse_expression(text).sql(lambda name: f"c_{name}") == written


def test_names_are_told_as_written_in_order_of_use() -> None:
    expression = parse_expression('B + a + "select""; drop" + a')
    assert expression.names == ("B", "a", 'select"; drop')


@pytest.mark.parametrize(
    ("text", "told", "hint"),
    [
        ("lowr(device)", "there is no function 'lowr' (line 1, column 1)", "did you mean 'lower'?"),
        ("1 + sum(x)", "sum looks at many records and an expression sees one (line 1, column 5)", None),
        ("(select 1)", "a query inside an expression is not allowed", None),
        ("x in (select 1)", "a query inside an expression is not allowed", None),
        ("exists(select 1)", "a query inside an expression is not allowed", None),
        ("sum(x) over ()", "a window (OVER) is not allowed", None),
        ("x = ?", "a parameter is not allowed (line 1, column", None),
        ("x = $1", "a parameter is not allowed", None),
        ("*", "'*' is not allowed", None),
        ("count(*)", "count looks at many records", None),
        ("a.b + 1", "'a.b' steps into a value", "declare a field with the path $.a.b and use its name"),
        ("a -> 'b'", "a step into a value", None),
        ("a; drop table x", "';' is not allowed", None),
        ("drop table x", "is not allowed", None),
        ("select 1", "a query inside an expression is not allowed", None),
        ("x -- and more", "a comment inside an expression is not allowed", "use the field's description"),
        ("x /* more */", "a comment inside an expression is not allowed", "use the field's description"),
        ("", "the expression is empty", None),
        ("1 +", "syntax error: a value is missing (line 1, column 3)", None),
        ("(a", "syntax error: expecting )", None),
        ("a) + (b", "syntax error", None),
        ("'abc", "a quote in the expression is not closed", "text stands in 'single quotes'"),
        ("a b", "is not allowed (line 1, column 1)", None),
        ("x in y", "IN needs a list", None),
        ("cast(x as json)", "'JSON' is no type", None),
        ("x::int[]", "is no type", None),
        ("regexp_matches(a, b)", "must be written out as text", None),
        ("date_part(a, b)", "the first argument of date_part must be written out", None),
        ("read_text('/etc/passwd')", "there is no function 'read_text'", None),
        ("getenv('HOME')", "there is no function 'getenv'", None),
        ("random() > 0.5", "there is no function 'rand'", None),
        ("now()", "there is no function 'now'", None),
        ("repeat('a', 1000000000)", "there is no function 'repeat'", None),
        ("x\x00", "a control character", None),
        ("x" * 2001, "2,001 characters long and at most 2,000", None),
        ("+".join("x" * 260), "779 parts and at most 500", None),
        ("(" * 36 + "x" + ")" * 36, "nests 37 levels deep and at most 32", None),
        ("(" * 900 + "x" + ")" * 900, "nests deeper than the 32 levels", None),
        ("NOT " * 450 + "x", "nests deeper than the 32 levels", None),
    ],
)
def test_what_is_not_allowed_is_refused_with_the_place(text: str, told: str, hint: str | None) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    (flaw,) = caught.value.flaws
    assert told in flaw.message
    assert hint is None or flaw.hint == hint


def test_all_flaws_are_told_each_with_a_picture_of_its_place() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression("x is not null and\n  foo(y) > 2 and baz(z)")
    assert [flaw.message for flaw in caught.value.flaws] == [
        "there is no function 'foo' (line 2, column 3)\n    foo(y) > 2 and baz(z)\n    ^^^",
        "there is no function 'baz' (line 2, column 18)\n    foo(y) > 2 and baz(z)\n                   ^^^",
    ]


@pytest.mark.parametrize(
    "text", ["(" * 31 + "x" + ")" * 31, "lower(" * 31 + "x" + ")" * 31, "coalesce(" * 30 + "x" + ", 1)" * 30]
)
def test_what_is_just_deep_enough_is_read_however_deep_the_caller_stands(text: str) -> None:
    def deeper(levels: int) -> tuple[str, ...]:
        return deeper(levels - 1) if levels else parse_expression(text).names

    assert deeper(400) == ("x",)


def test_long_sums_are_no_deep_nests() -> None:
    assert len(parse_expression("+".join("x" * 150)).names) == 1
