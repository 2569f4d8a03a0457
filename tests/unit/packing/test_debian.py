"""The Debian package needs nothing that a minimal system without network does not have."""

import re
from pathlib import Path

DEBIAN = Path(__file__).resolve().parents[3] / "packaging" / "debian"
# Of Debian 11 to 13 as debootstrap --variant=minbase makes them: essential, or needed by what is.
THERE = {"libc6", "passwd", "zlib1g"}


def test_what_it_depends_on_is_there() -> None:
    control = (DEBIAN / "control").read_text()
    needed = re.findall(r"^(?:Pre-)?Depends: (.*)$", control, re.MULTILINE)
    assert {name.split()[0] for line in needed for name in line.split(", ")} == THERE


def test_its_scripts_make_the_user_by_what_is_there() -> None:
    for script in ("postinst", "postrm"):
        text = (DEBIAN / script).read_text()
        assert not re.search(r"^[^#]*\b(adduser|addgroup|deluser|delgroup) ", text, re.MULTILINE), script
