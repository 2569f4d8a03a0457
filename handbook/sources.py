"""The pages as they are written: Markdown files below ``docs/``, and the two at the root that readers ask for."""

import hashlib
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent
_BESIDE: Final = {"CHANGELOG.md": "changelog", "CONTRIBUTING.md": "contributing"}
_FOLDERS: Final = {"docs/handbook": "", "docs/reference": "reference/", "docs/decisions": "decisions/"}
_DECISIONS: Final = """# Decisions

What was decided, why, and what it costs. A page is written when changing the decision later would be expensive.

"""


class Source(NamedTuple):
    """One page. ``path``: from the root of the repository, with slashes; what links in it are relative to."""

    slug: str
    path: str
    text: str

    @property
    def title(self) -> str:
        return self.text.lstrip().partition("\n")[0].lstrip("# ").replace("`", "")


def sources(root: Path = ROOT) -> dict[str, Source]:
    """Return every page by its address below ``/docs/``."""
    found = []
    for folder, prefix in _FOLDERS.items():
        for path in sorted((root / folder).glob("*.md")):
            if path.name != "template.md":
                found.append(_read(root, path, prefix + path.stem))
    decisions = [one for one in found if one.slug.startswith("decisions/")]
    listed = "".join(f"- [{one.title}]({Path(one.path).name})\n" for one in decisions)
    found += [_read(root, root / name, slug) for name, slug in _BESIDE.items()]
    found.append(Source("decisions", "docs/decisions/index.md", _DECISIONS + listed))
    return {one.slug: one for one in found}


def _read(root: Path, path: Path, slug: str) -> Source:
    return Source(slug, path.relative_to(root).as_posix(), path.read_text("utf-8"))


def fingerprint(root: Path = ROOT) -> str:
    """Return a name for this very state of everything that the site is made from."""
    made_from = [*(root / "docs").rglob("*.md"), *(root / "docs").rglob("*.svg"), *(root / name for name in _BESIDE)]
    made_from += [path for path in (root / "handbook").rglob("*") if path.suffix in (".py", ".html", ".css", ".js")]
    made_from += [root / "ui" / "theme.py", root / "appliance" / "__init__.py"]
    digest = hashlib.sha256()
    for path in sorted(made_from):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
