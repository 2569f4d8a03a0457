"""release.json of a bundle: what it is, what it needs, and each of its files. Read by appliance/release/manifest.py."""

import hashlib
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE = "release.json"
FORMAT = 1
WHERE = "build/glibc.txt, which lists each file with what it needs"


def version() -> str:
    """Return the version of the sources."""
    spec = importlib.util.spec_from_file_location("appliance", ROOT / "appliance" / "__init__.py")
    if spec is None or spec.loader is None:
        raise SystemExit("there is no appliance/__init__.py to read the version from")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.__version__)


def glibc(text: str) -> tuple[int, int]:
    """Return a version such as ``2.31`` as numbers."""
    major, minor = text.split(".")
    return int(major), int(minor)


def write(folder: Path, when: int) -> tuple[int, int]:
    """Write release.json into ``folder``, dated ``when``; return the C library that the program needs."""
    needs = dict(_needs(folder))
    lines = sorted(f"{needed[0]}.{needed[1]:<3} {path}" for path, needed in needs.items())
    (ROOT / "build" / "glibc.txt").write_text("\n".join(lines) + "\n")
    floor = max(needs.values())
    content = {
        "format": FORMAT,
        "version": version(),
        "machine": platform.machine(),
        "glibc": f"{floor[0]}.{floor[1]}",
        "python": sys.version.split()[0],
        "commit_time": when,
        "control_schema": max(
            file.stem.split("_")[0]
            for file in (ROOT / "appliance" / "storage" / "control" / "migrations" / "versions").glob("v*.py")
        ),
        "files": [_entry(folder, path) for path in sorted(folder.rglob("*")) if path.is_symlink() or path.is_file()],
    }
    (folder / FILE).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    return floor


def _entry(folder: Path, path: Path) -> dict[str, object]:
    place = str(path.relative_to(folder))
    if path.is_symlink():
        return {"path": place, "link": os.readlink(path)}
    entry: dict[str, object] = {
        "path": place,
        "size": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    return entry | {"runs": True} if os.access(path, os.X_OK) else entry


def _needs(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield each ELF file with the newest version of the C library that one of its symbols asks for."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            if file.read(4) != b"\x7fELF":
                continue
        told = subprocess.run(["objdump", "-T", str(path)], capture_output=True, text=True, check=True).stdout
        asked = [glibc(found) for found in re.findall(r"GLIBC_(2\.\d+)", told)]
        yield str(path.relative_to(folder)), max(asked, default=(2, 0))


if __name__ == "__main__":
    sys.exit("run build.py")
