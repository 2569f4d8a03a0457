"""Every part of the bundle is told with its licence and a text, also those that no wheel tells of."""

import re
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[3]


class Scripts(NamedTuple):
    component: ModuleType
    inside: Any
    licences: Any
    undeclared: Any
    wording: Any


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Scripts:
    """The build's own modules, which lie in packaging/ and import each other by name."""
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    return Scripts(*map(__import__, Scripts._fields))


def test_what_was_looked_into_is_what_is_locked(scripts: Scripts) -> None:
    locked = dict(re.findall(r"^([\w.-]+)==(\d+\.\d+)", (ROOT / "packaging" / "requirements.txt").read_text(), re.M))
    looked_at = {name.lower(): version for name, (version, _) in scripts.undeclared.COMPILED.items()}
    assert {name: locked[name] for name in looked_at} == looked_at


@pytest.mark.parametrize("name", ["nicegui", "duckdb", "psycopg-binary", "granian"])
def test_each_part_of_a_wheel_has_a_text(scripts: Scripts, name: str) -> None:
    parts = scripts.inside.parts(distribution(name))
    whole = scripts.component.Component("pypi", name, "1", "MIT", {"LICENSE": "its text"}, parts)
    assert scripts.licences.without_text([whole]) == []
    page = scripts.licences.page([whole])
    for part in parts:
        assert f"    {part.name} {part.version}".rstrip() + f": {part.licence}\n" in page
    assert "see its text" not in page


def test_a_part_without_a_text_is_found(scripts: Scripts) -> None:
    part = scripts.component.Component
    parts = [part("cargo", "new", "1", "MIT OR Strange-1.0"), part("npm", "vue", "3", "MIT")]
    whole = part("pypi", "wheel", "1", "MIT", {}, parts)
    assert scripts.licences.without_text([whole]) == ["wheel", "new"]


def test_of_a_choice_the_gpl_is_not_taken(scripts: Scripts) -> None:
    named = scripts.wording.identifiers
    assert named("Apache-2.0 OR GPL-2.0-only") == ["Apache-2.0"]
    assert named("(MIT OR Apache-2.0) AND Unicode-3.0") == ["MIT", "Apache-2.0", "Unicode-3.0"]
    assert named("LGPL-3.0-only") == ["LGPL-3.0", "GPL-3.0"]


def test_a_script_of_nobody_is_found(scripts: Scripts) -> None:
    packed = [
        f"nicegui/static/{name}" for name in ("nicegui.js", "vue.esm-browser.prod.js", "fonts/a.woff2", "new.mjs")
    ]
    assert scripts.inside.unclaimed(packed) == ["new.mjs"]
