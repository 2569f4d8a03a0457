from collections.abc import Callable
from typing import Any

import pytest

from appliance.domain.mapping import Mapping
from appliance.errors import Invalid, Problem
from appliance.mapping import check, compile_mapping

Document = Callable[..., Mapping]


def field(name: str = "a", **members: Any) -> dict[str, Any]:
    return {"name": name, "type": "string"} | ({} if "expr" in members else {"path": "$.a"}) | members


def found(document: Document, **members: Any) -> list[tuple[str, str]]:
    return [(problem.pointer, problem.message) for problem in check(document(**members))]


def only(document: Document, **members: Any) -> Problem:
    (problem,) = check(document(**members))
    return problem


def test_the_mapping_of_the_interface_page_is_right(document: Document) -> None:
    mapping = document(
        explode=None,
        time={"path": "$.ts", "format": "auto"},
        fields=[
            {"name": "device", "path": "$.device", "type": "string", "required": True},
            {"name": "temp_c", "expr": "(temp_f - 32) * 5 / 9", "type": "float", "min": -80, "max": 200},
        ],
        where="status <> 'test'",
        key=["device", "ts"],
        unmapped="keep",
    )
    assert check(mapping) == []
    assert check(document()) == []


@pytest.mark.parametrize("name", ['select"; drop', "1st", "temp c", "größe", " ", "a-b", "a\n"])
def test_field_names_are_column_names(document: Document, name: str) -> None:
    assert found(document, fields=[field(name)]) == [
        (
            "/mapping/fields/0/name",
            f"the field name {name!r} is no column name: a letter, then up to 62 letters, digits or '_'",
        )
    ]


def test_a_near_name_is_suggested(document: Document) -> None:
    problem = only(document, fields=[field('select"; drop')])
    assert problem.hint == "'select_drop' would be one; the path may hold any key"


def test_names_of_system_columns_are_kept(document: Document) -> None:
    problem = only(document, fields=[field("_time")])
    assert problem.message == "the field name '_time' begins with '_', which is kept for Dash's own columns"


def test_names_are_taken_whatever_their_case(document: Document) -> None:
    problem = only(document, fields=[field("Temp"), field("temp")])
    assert problem.pointer == "/mapping/fields/1/name"
    assert problem.message == "the name 'temp' is taken by field 0 ('Temp')"


def test_a_field_is_read_or_computed(document: Document) -> None:
    assert found(document, fields=[{"name": "a", "type": "string"}]) == [
        ("/mapping/fields/0", "the field 'a' has neither 'path' nor 'expr'")
    ]
    assert found(document, fields=[{"name": "a", "type": "string", "path": "$.a", "expr": "b"}]) == [
        ("/mapping/fields/0", "the field 'a' has both 'path' and 'expr'")
    ]


@pytest.mark.parametrize(
    ("members", "pointer", "told"),
    [
        ({"min": 1}, "/min", "'min' is for numbers and 'a' is a string"),
        ({"type": "timestamp", "max": 1}, "/max", "'max' is for numbers and 'a' is a timestamp"),
        ({"type": "float", "min": 5, "max": 1}, "/min", "'min' of 'a' is 5 and 'max' is 1: no value is between them"),
        ({"type": "float", "min": float("nan")}, "/min", "'min' of 'a' must be a finite number, got nan"),
        ({"enum": []}, "/enum", "'enum' of 'a' is empty, so that no value would be allowed"),
        ({"enum": ["x", 1]}, "/enum/1", "1 in 'enum' of 'a' is no string"),
        ({"type": "integer", "enum": [1, 2.5]}, "/enum/1", "2.5 in 'enum' of 'a' is no integer"),
        ({"type": "integer", "enum": [True]}, "/enum/0", "True in 'enum' of 'a' is no integer"),
        ({"type": "float", "enum": [None]}, "/enum/0", "None in 'enum' of 'a' is no float"),
        ({"type": "boolean", "enum": ["true"]}, "/enum/0", "'true' in 'enum' of 'a' is no boolean"),
        ({"type": "json", "enum": ["x"]}, "/enum", "'enum' is not for fields of the type json"),
        ({"enum": ["x"] * 1001}, "/enum", "'enum' of 'a' has 1,001 values and at most 1,000 are allowed"),
    ],
)
def test_limits_fit_the_type(document: Document, members: dict[str, Any], pointer: str, told: str) -> None:
    assert found(document, fields=[field(**members)]) == [(f"/mapping/fields/0{pointer}", told)]


def test_every_problem_is_told_at_once(document: Document) -> None:
    problems = check(
        document(
            fields=[field("1st", path="a"), field("b", expr="lowr(x)"), field("c", expr="1 +"), field("B")],
            time={"path": "ts", "format": "whenever"},
            where="count(*) > 1",
            explode="$.a[*]",
            key=["", "b", "b"],
        ),
        pointer="/document/mapping",
    )
    assert sorted(problem.pointer.removeprefix("/document/mapping") for problem in problems) == [
        "/explode", "/fields/0/name", "/fields/0/path", "/fields/1/expr", "/fields/2/expr", "/fields/3/name",
        "/key/0", "/key/2", "/time/format", "/time/path", "/where",
    ]  # fmt: skip


def test_an_expression_that_duckdb_cannot_type_is_told_in_the_words_of_mappings(document: Document) -> None:
    problem = only(document, fields=[field("n", type="integer"), field("m", type="float", expr="n + lower(name)")])
    assert problem.pointer == "/mapping/fields/1/expr"
    assert problem.message == (
        "the expression cannot be computed: No function matches the given name and argument types '+(integer, string)'"
    )


@pytest.mark.parametrize(
    ("expr", "kind", "told"),
    [
        ("a > 1", "float", "the expression gives boolean, which is never float"),
        ("_time", "float", "the expression gives timestamp, which is never float"),
        ("a + 1", "boolean", "the expression gives float, which is never boolean"),
        ("a + 1", "timestamp", "the expression gives float, which is never timestamp"),
    ],
)
def test_an_expression_that_never_fits_is_a_problem(document: Document, expr: str, kind: str, told: str) -> None:
    assert found(document, fields=[field("b", type=kind, expr=expr)]) == [("/mapping/fields/0/expr", told)]


def test_where_is_a_condition(document: Document) -> None:
    assert found(document, where="a + 1") == [("/mapping/where", "a condition is true or false and this gives float")]


@pytest.mark.parametrize("pattern", ["(", "[a", "a{2000}"])
def test_a_broken_regular_expression_is_a_problem(document: Document, pattern: str) -> None:
    ((pointer, told),) = found(document, where=f"regexp_matches(a, '{pattern}')")
    assert pointer == "/mapping/where"
    assert told.startswith("the expression cannot be computed: ")


def test_a_cycle_is_told_with_the_way_round(document: Document) -> None:
    fields = [field("a", expr="b"), field("b", expr="upper(c)"), field("c", expr="A || 'x'")]
    assert found(document, fields=fields) == [("/mapping/fields/0/expr", "the field 'a' needs itself: a → b → c → a")]
    assert found(document, fields=[field("a", expr="a || 'x'")]) == [
        ("/mapping/fields/0/expr", "the field 'a' needs itself: a → a")
    ]


@pytest.mark.parametrize("form", ["whenever", "", "%", "%Q", "ISO"])
def test_time_formats_are_known_or_patterns(document: Document, form: str) -> None:
    problem = only(document, time={"path": "$.ts", "format": form})
    assert problem.message == f"the time format {form!r} is not known"
    assert problem.hint is not None
    assert "strptime pattern" in problem.hint


def test_what_is_not_known_before_storing_cannot_be_used(document: Document) -> None:
    assert found(document, where="_seq > 5") == [("/mapping/where", "'_seq' is not known before the event is stored")]
    assert found(document, key=["_seq"]) == [("/mapping/key/0", "'_seq' cannot be part of the key")]


def test_there_is_a_limit_to_fields_and_keys(document: Document) -> None:
    assert found(document, fields=[field(f"a{n}") for n in range(301)]) == [
        ("/mapping/fields", "the mapping has 301 fields and at most 300 are allowed")
    ]
    assert found(document, key=[f"a{n}" for n in range(17)]) == [
        ("/mapping/key", "the key has 17 parts and at most 16 are allowed")
    ]


def test_fields_build_on_each_other_only_so_deep(document: Document) -> None:
    def chain(levels: int, others: int) -> list[dict[str, Any]]:
        links = [field(f"x{n}", type="float", expr=f"x{n - 1} + 1") for n in range(1, levels + 1)]
        return [field("x0", type="float"), *links, *(field(f"o{n}") for n in range(others))]

    assert found(document, fields=chain(32, 0)) == []
    assert found(document, fields=chain(33, 0)) == [
        ("/mapping/fields", "the fields build on each other 33 levels deep; with 34 values 32 are allowed")
    ]
    assert found(document, fields=chain(3, 296)) == []
    assert found(document, fields=chain(4, 295)) == [
        ("/mapping/fields", "the fields build on each other 4 levels deep; with 300 values 3 are allowed")
    ]


@pytest.mark.parametrize(
    ("exprs", "places", "told"),
    [
        (["||".join("a" * 64)], [], ""),
        (["||".join("a" * 65)], [0], "65 times the event's length and 0 characters"),
        (["a || a || a || a || a", "x0 || x0 || x0 || x0 || x0", "upper(x1 || x1 || x1)"], [2], "75 times"),
        (["replace(replace(a, 'x', 'xxxxxxxxx'), 'x', 'xxxxxxxxx')"], [0], "81 times"),
        (["length(replace(replace(a, 'x', 'xxxxxxxxx'), 'x', 'xxxxxxxxx'))"], [0], "81 times"),
        (["replace(replace(a, 'xx', 'x'), 'y', 'z')"], [], ""),
        (["CASE WHEN " + "||".join("a" * 65) + " = 'x' THEN 'a' ELSE 'b' END"], [0], "65 times"),
        (["coalesce(a, b, c) || if(a = 'x', b, c)"], [], ""),
        (["'" + "x" * 1000 + "'", "||".join(["x0"] * 60), "x1 || x1"], [2], "0 times the event's length and 120,000"),
    ],
)
def test_expressions_do_not_blow_text_up(document: Document, exprs: list[str], places: list[int], told: str) -> None:
    fields = [field(f"x{n}", expr=expr) for n, expr in enumerate(exprs)]
    problems = found(document, fields=fields)
    assert [pointer for pointer, _ in problems] == [f"/mapping/fields/{place}/expr" for place in places]
    assert all(told in message and "at most 64 times" in message for _, message in problems)


def test_conditions_do_not_blow_text_up(document: Document) -> None:
    ((pointer, _),) = found(document, where="||".join("a" * 65) + " <> ''")
    assert pointer == "/mapping/where"


def test_compiling_a_wrong_mapping_raises_all_its_problems(document: Document) -> None:
    with pytest.raises(Invalid) as caught:
        compile_mapping(document(fields=[field("1st"), field("b", path="b")]))
    assert [problem.pointer for problem in caught.value.problems] == [
        "/mapping/fields/0/name", "/mapping/fields/1/path",
    ]  # fmt: skip
