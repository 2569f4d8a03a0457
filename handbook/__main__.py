"""Make the handbook: ``python -m handbook site DIR``, ``kept DIR``, ``diagrams`` or ``pdf FILE``."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from handbook.sources import fingerprint


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m handbook", description=__doc__)
    jobs = parser.add_subparsers(dest="job", required=True)
    jobs.add_parser("site", help="write the site into DIR").add_argument("place", metavar="DIR", type=Path)
    told = "write the site below DIR unless it is there in its present state, and print where"
    jobs.add_parser("kept", help=told).add_argument("place", metavar="DIR", type=Path)
    for name, told in (("diagrams", "draw what is not drawn yet"), ("pdf", "print the whole handbook into FILE")):
        job = jobs.add_parser(name, help=told)
        job.add_argument("--chromium", default=_chromium(), help="the browser; default: the system's, or Playwright's")
        if name == "pdf":
            job.add_argument("place", metavar="FILE", type=Path)
    asked = parser.parse_args(arguments)
    match asked.job:
        case "site":
            site(asked.place)
        case "kept":
            sys.stdout.write(f"{kept(asked.place)}\n")
        case "diagrams":
            diagrams(asked.chromium)
        case "pdf":
            pdf(asked.place, asked.chromium)
    return 0


def _chromium() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def site(into: Path) -> None:
    """Write the site into a folder, in place of what is there."""
    from handbook.site import read, write

    shutil.rmtree(into, ignore_errors=True)
    write(read(), into)


def kept(below: Path) -> Path:
    """Return where the site of the present state is; make it first where it is not."""
    there = below / fingerprint()
    if there.exists():
        return there
    below.mkdir(parents=True, exist_ok=True)
    others = [path for path in below.iterdir() if not path.name.startswith("new-")]
    fresh = Path(tempfile.mkdtemp(prefix="new-", dir=below))
    site(fresh)
    try:
        fresh.rename(there)
    except OSError:  # somebody else has made it meanwhile
        shutil.rmtree(fresh)
    for path in others:
        shutil.rmtree(path, ignore_errors=True)
    return there


def diagrams(chromium: str | None) -> None:
    """Draw what pages have and no file does; remove drawings of what pages have no more."""
    from handbook import diagrams
    from handbook.sources import sources

    texts = [one.text for one in sources().values()]
    if undrawn := diagrams.missing(texts):
        diagrams.draw(undrawn, chromium)
    for path in diagrams.left_over(texts):
        path.unlink()


def pdf(into: Path, chromium: str | None) -> None:
    """Print everything into one file, with a cover, contents and page numbers."""
    from handbook.printed import print_pdf

    into.parent.mkdir(parents=True, exist_ok=True)
    print_pdf(into, chromium)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
