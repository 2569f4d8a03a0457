"""What is inside of a wheel that its makers did not write: as they tell it, or as it was found (undeclared.py)."""

import json
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution
from pathlib import Path

import contents
import undeclared
import wording
from component import Component

_STATIC = re.compile(r"^nicegui/static/((?:.+/)?[^/]+\.(?:js|mjs|woff2))$")
_STOP = "look into packaging/undeclared.py"


def parts(one: Distribution) -> list[Component]:
    """Return them, each with its text where one is kept.

    Raises:
        SystemExit: a newer version of ``one`` has not been looked into.
    """
    found = [*_told(one), *_compiled(one)]
    if one.name == "nicegui":
        found += _in_browsers(Path(str(one.locate_file("nicegui"))))
    for part in found:
        part.texts = wording.kept(part)
    return found


def unclaimed(packed: Iterable[str]) -> list[str]:
    """Return the scripts and fonts among NiceGUI's static files ``packed`` of which nobody says whose they are."""
    known = {Path(file).name for _, file, _ in undeclared.IN_BROWSERS.values()} | {*undeclared.OWN_STATIC}
    names = [found[1] for name in packed if (found := _STATIC.match(name))]
    return [name for name in names if name not in known and not name.startswith(("fonts/", "lang/"))]


def _told(one: Distribution) -> Iterator[Component]:
    """What the makers say themselves (PEP 770)."""
    for file in one.files or ():
        if "/sboms/" in str(file) and str(file).endswith(".json"):
            for part in json.loads(Path(str(one.locate_file(file))).read_text()).get("components", ()):
                if part["name"].replace("_", "-") != one.name:
                    kind = "cargo" if part.get("purl", "").startswith("pkg:cargo/") else "generic"
                    yield Component(kind, part["name"], part.get("version", ""), _licence(part))


def _licence(part: dict[str, object]) -> str:
    choice = (part.get("licenses") or [{}])[0]  # type: ignore[index]
    named = choice.get("license", {})
    return _known(str(part["name"]), choice.get("expression") or named.get("id") or named.get("name"))


def _known(name: str, told: str | None) -> str:
    if told is None and (told := undeclared.LICENCES.get(name)) is None:
        raise SystemExit(f"the licence of {name}, inside of a wheel, is not known: {_STOP}")
    return told


def _compiled(one: Distribution) -> Iterator[Component]:
    looked_at, names = undeclared.COMPILED.get(one.name, ("", ()))
    if names and ".".join(one.version.split(".")[:2]) != looked_at:
        raise SystemExit(f"{one.name} {one.version} may have other parts compiled in than {looked_at} had: {_STOP}")
    for name, version, licence in names:
        yield Component("generic", name, version, licence)


def _in_browsers(package: Path) -> Iterator[Component]:
    for name, (licence, file, pattern) in undeclared.IN_BROWSERS.items():
        version = re.search(pattern, (package / file).read_text("utf-8", "replace"))
        if version is None:
            raise SystemExit(f"{file} of NiceGUI does not tell its version any more: {_STOP}")
        yield Component("npm", name, version[1], licence)
    for name, licence in undeclared.FONTS:
        yield Component("generic", name, "", licence)
    for lock in sorted(package.glob("elements/*/package-lock.json")):
        if lock.parent.name not in contents.UNUSED_COMPONENTS:
            yield from _locked(json.loads(lock.read_text()))


def _locked(lock: dict[str, dict[str, dict[str, str]]]) -> Iterator[Component]:
    for place, told in lock["packages"].items():
        if place and not told.get("dev"):
            name = place.split("node_modules/")[-1]
            yield Component("npm", name, told["version"], _known(name, told.get("license")))
