"""Print the requirements of the program and of PyInstaller with their hashes, out of the lock files."""

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILDS = ("altgraph", "packaging", "pyinstaller", "pyinstaller-hooks-contrib", "setuptools")


def blocks(file: str) -> dict[str, str]:
    """Return each requirement of a lock file, with the lines of its hashes, by name."""
    found = re.findall(r"^([\w.-]+)(==[^\n]*\n(?:    --hash=[^\n]*\n)+)", (HERE / file).read_text(), re.MULTILINE)
    return {name: name + rest for name, rest in found}


if __name__ == "__main__":
    develop = blocks("requirements-dev.txt")
    wanted = blocks("requirements.txt") | {name: develop[name] for name in BUILDS}
    print("".join(text for _, text in sorted(wanted.items())), end="")
