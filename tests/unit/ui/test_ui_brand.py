"""What is drawn of a brand: escaped, with text where a picture says something; and no screen names the product."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.api.handbook import given_script
from appliance.domain.brand import Brand, Kind, Picture, Words
from ui.brand import brand_markup, head, version

UI = Path(__file__).parents[3] / "ui"
ABOUT_IT = {"pages/appearance.py", "mount.py"}  # says what is replaced; the title before a page has set its own
PICTURE = Picture("image/png", "0011223344556677", b"x")
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&"


def texts(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_screens_say_what_the_appliance_is_called() -> None:
    found = {
        (path.relative_to(UI).as_posix(), text)
        for path in UI.rglob("*.py")
        for text in texts(path)
        if re.search(r"\bDash\b", text) and path.relative_to(UI).as_posix() not in ABOUT_IT
    }
    scripts = {
        (path.name, line.strip())
        for path in (UI / "static").glob("*.js")
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"[\"'`][^\"'`]*\bDash\b", line.partition("//")[0])
    }
    assert found | scripts == set()


@pytest.mark.parametrize("beside", [True, False])
def test_a_logo_has_a_text_unless_the_name_stands_beside_it(beside: bool) -> None:
    words = Words(name="Example", name_beside_logo=beside)
    markup = brand_markup(Brand(words, {Kind.LOGO: PICTURE}))
    assert ('alt=""' in markup, 'alt="Example"' in markup) == (beside, not beside)
    assert ("brand-name" in markup) is beside
    assert markup.count("<img") == 1
    both = Brand(words, {Kind.LOGO: PICTURE, Kind.LOGO_DARK: PICTURE})
    assert brand_markup(both).count("<img") == 2
    assert "logo_dark" in brand_markup(both, "dark")
    assert "logo_dark" not in brand_markup(both, "light")


def test_hostile_names_are_text_wherever_they_are_drawn() -> None:
    brand = Brand(Words(name=HOSTILE, accent="#0b6e4f", name_beside_logo=False), {Kind.LOGO: PICTURE})
    for drawn in (brand_markup(brand), brand_markup(Brand(brand.words)), head(brand), head(Brand(brand.words))):
        assert HOSTILE not in drawn
        assert "<img src=x" not in drawn
    assert b'"name":"</script>' in given_script(brand)  # a file of its own: nothing in it ends it


def test_without_a_brand_it_is_dash() -> None:
    assert "Dash</span>" in brand_markup(Brand())
    assert head(Brand()) == ""
    assert version(Brand(), "1.2.3") == "Dash 1.2.3"
    assert version(Brand(Words(powered_by=False)), "1.2.3") == "Version 1.2.3"
    assert given_script(Brand()) == b"globalThis.given = null;\n"
    assert "<text" in Brand(Words(name="— ϐ")).monogram()
    assert ">Β</text>" in Brand(Words(name="— ϐ")).monogram()
