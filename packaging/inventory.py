"""What is in the bundle: each component with its version, its licence and the licence's text, as it was really packed.

The spec writes down every file that it packs and where it came from (build/contents.json); here each is given to the
Python distribution, the interpreter or the system package that it belongs to. A file that belongs to nobody stops the
build: it would be in the bundle without anyone knowing under which licence.
"""

import json
import re
import sqlite3
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

import inside
from component import Component, again

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
CONTENTS = ROOT / "build" / "contents.json"
INVENTORY = ROOT / "build" / "inventory.json"
_TEXTS = re.compile(r"(^|/)(licen[cs]es?/.+|(licen[cs]e|copying|notice|authors)[^/]*)$", re.IGNORECASE)

# Built beside the interpreter by portable-python.sh; elsewhere they are packages of the distribution.
_BESIDE_PYTHON = {
    "libssl": ("openssl", ssl.OPENSSL_VERSION.split()[1], "Apache-2.0"),
    "libcrypto": ("openssl", ssl.OPENSSL_VERSION.split()[1], "Apache-2.0"),
    "libsqlite3": ("sqlite", sqlite3.sqlite_version, "blessing"),
}

# What Debian's packages of these libraries are under: their copyright files also list what is not in the library.
_LIBRARIES = {
    "libbz2": "bzip2-1.0.6",
    "libcrypt": "LGPL-2.1-or-later",
    "libffi": "MIT",
    "libgcc": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "liblzma": "LicenseRef-public-domain",
    "libsqlite3": "blessing",
    "libssl": "Apache-2.0",
    "libstdc++": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libuuid": "BSD-3-Clause",
    "zlib1g": "Zlib",
}

# As classifiers tell them, which leave out what a text has to say.
_TOLD = {
    "BSD License": "BSD-3-Clause",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-or-later WITH Bootloader-exception",
    "MIT License": "MIT",
}


def main() -> None:
    """Write build/inventory.json."""
    packed = json.loads(CONTENTS.read_text())
    INVENTORY.write_text(json.dumps([asdict(one) for one in components(packed)], indent=1, sort_keys=True))


def read() -> list[Component]:
    """Return what ``main`` wrote."""
    return [again(one) for one in json.loads(INVENTORY.read_text())]


def components(packed: Sequence[tuple[str, str]]) -> list[Component]:
    """Return every component of the files ``(place in the bundle, where it came from)``, by name."""
    owners = _owners()
    found = {"cpython": _python(), "pyinstaller": _of_distribution(distribution("pyinstaller"))}
    unknown = []
    for _, source in packed:
        path = Path(source)
        if _own(path):
            continue
        owner = owners.get(path.parent.resolve() / path.name)
        if owner is not None:
            if owner.name not in found:  # reading what is inside takes a while
                found[owner.name] = _of_distribution(owner)
        elif not _of_python(path):
            native = _of_system(path.resolve())
            if native is None:
                unknown.append(source)
            else:
                found.setdefault(native.name, native)
    unknown += inside.unclaimed(place for place, _ in packed)
    if unknown:
        raise SystemExit(f"nobody knows whose these files are: {', '.join(sorted(set(unknown))[:10])}")
    return sorted(found.values(), key=lambda one: (one.kind, one.name.lower()))


def _own(path: Path) -> bool:
    return path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / ".venv")


def _owners() -> dict[Path, Distribution]:
    """Return whose each installed file is; PyInstaller writes some paths as they really are, where .venv is a link."""
    return {
        home / file: one
        for one in distributions()
        for home in (Path(str(one.locate_file(""))).resolve(),)
        for file in one.files or ()
    }


def _of_python(path: Path) -> bool:
    library = Path(sysconfig.get_path("stdlib"))
    return any(one.is_relative_to(library) for one in (path, path.resolve())) or path.name.startswith("libpython3")


def _python() -> Component:
    version = sys.version.split()[0]
    text = Path(sysconfig.get_path("stdlib")) / "LICENSE.txt"
    if not text.exists():  # Debian's own interpreter
        text = Path(f"/usr/share/doc/python3.{sys.version_info.minor}/copyright")
    return Component("generic", "cpython", version, "Python-2.0", {"LICENSE.txt": text.read_text("utf-8", "replace")})


def _of_distribution(one: Distribution) -> Component:
    texts = {
        Path(str(file)).name: Path(str(one.locate_file(file))).read_text("utf-8", "replace")
        for file in one.files or ()
        if ".dist-info/" in str(file) and _TEXTS.search(str(file).split(".dist-info/")[1])
    }
    if not texts and (kept := HERE / "texts" / f"{one.name}.txt").exists():
        texts = {kept.name: kept.read_text("utf-8")}
    return Component("pypi", one.name, one.version, _licence(one), texts, inside.parts(one))


def _licence(one: Distribution) -> str:
    told = one.metadata.get("License-Expression") or ""
    if not told and "\n" not in (short := one.metadata.get("License") or "") and len(short) < 60:
        told = short
    classified = [
        name.split(" :: ")[-1]
        for name in one.metadata.get_all("Classifier") or ()
        if name.startswith("License :: ") and name != "License :: OSI Approved"
    ]
    told = told or " AND ".join(classified)
    if not told:
        raise SystemExit(f"{one.name} does not tell its licence: is it one to ship? packaging/inventory.py")
    return _TOLD.get(told, told)


def _of_system(path: Path) -> Component | None:
    if path.is_relative_to(Path(sys.base_prefix).resolve()):
        if (told := _BESIDE_PYTHON.get(path.name.split(".")[0])) is None:
            return None
        text = Path(sys.base_prefix) / "share" / "licenses" / f"{told[0]}.txt"
        return Component("generic", *told, {text.name: text.read_text("utf-8", "replace")})
    for place in (str(path), str(path).removeprefix("/usr")):
        answer = subprocess.run(["dpkg-query", "-S", place], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return _package(answer.stdout.split(": ")[0].split(",")[0])
    return None


def _package(package: str) -> Component:
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=True
    ).stdout
    name = package.split(":")[0]
    licence = next((told for begins, told in _LIBRARIES.items() if name.startswith(begins)), None)
    if licence is None:
        raise SystemExit(f"{package} is packed for the first time: is its licence one to ship? packaging/inventory.py")
    text = Path(f"/usr/share/doc/{name}/copyright").read_text("utf-8", "replace")
    return Component("deb", name, shown, licence, {"copyright": text})


if __name__ == "__main__":
    main()
