"""Make what test_upgraded_under_systemd.py needs: this commit as a release, and as the minor release after it.

    python tests/integration/two_releases.py FOLDER

Both are the sources of HEAD, built and signed as releases are, with a vendor's key that is made in FOLDER and counts in
these two alone. The second one has another number and one migration more. Some minutes; a gigabyte.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ROOT = Path(__file__).resolve().parents[2]
MIGRATION = '''"""Something that a release before does not have."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = {before!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column and a table."""
    op.add_column("organisation", sa.Column("motto", sa.String(), nullable=True))
    op.create_table("of_the_next_release", sa.Column("id", sa.String(), nullable=False, primary_key=True))
'''

# As package.py does, without what only customers are handed.
SIGN = """
import os, sys
from pathlib import Path
sys.path.insert(0, "packaging")
import package
for bundle in Path("dist").glob("*.tar.xz"):
    package._sign(bundle.resolve(), Path(os.environ["DASH_RELEASE_KEY"]))
"""


def main(folder: Path) -> None:
    """Build both; what is there already is built anew."""
    folder.mkdir(parents=True, exist_ok=True)
    key = folder / "key"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "releases", "-f", str(key)], check=True)
    now = int(time.time())
    before = release(folder / "before", key, now)
    major, minor, _ = before.split(".")
    after = release(folder / "after", key, now, f"{major}.{int(minor) + 1}.0")
    print(f"{before} and {after} are in {folder}")


def release(at: Path, key: Path, when: int, version: str | None = None) -> str:
    """Build and sign one in ``at``; return its version."""
    shutil.rmtree(at, ignore_errors=True)
    at.mkdir()
    sources = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(at)], input=sources, check=True)
    (at / "build").mkdir()
    with (at / "appliance/release/signers").open("a") as signers:
        signers.write(f'releases namespaces="dash-release" {key.with_suffix(".pub").read_text()}')
    _changed(at / "appliance/pinned.py", r"PUBLIC_KEYS: Final\[tuple\[str, \.\.\.\]\] = \(.*\)", _licences())
    if version is not None:
        _changed(at / "appliance/__init__.py", r'__version__ = "[^"]*"', f'__version__ = "{version}"')
        _migrated(at)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(when), "DASH_RELEASE_KEY": str(key)}
    _changed(at / "packaging/build.py", "preset=4", "preset=0")  # a minute of two cores less, each
    # By its own path: what is packed is looked up below the environment that it came from.
    python = str((ROOT / ".venv").resolve() / "bin/python")
    for words in (["packaging/build.py"], ["-c", SIGN]):
        subprocess.run([python, *words], cwd=at, check=True, env=environment, stdout=sys.stderr)
    told = subprocess.run([at / "dist/dash-appliance/dash-appliance", "version"], capture_output=True, check=True)
    return told.stdout.decode().split()[-1]


def _licences() -> str:
    """The line by which licences of the tests count."""
    sys.path.insert(0, str(ROOT))
    from tests.licensed import KEY

    public = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    return f'PUBLIC_KEYS: Final[tuple[str, ...]] = ("{public}",)'


def _migrated(at: Path) -> None:
    schema = at / "appliance/storage/control/schema.py"
    (head,) = re.findall(r'^HEAD: Final = "(\d+)"', schema.read_text(), re.MULTILINE)
    _changed(schema, rf'^HEAD: Final = "{head}"', 'HEAD: Final = "9999"')
    _changed(schema, rf'"{head}"\)$', f'"{head}", "9999")')
    versions = schema.parent / "migrations/versions"
    (versions / "v9999_of_the_next_release.py").write_text(MIGRATION.format(before=head))


def _changed(file: Path, pattern: str, by: str) -> None:
    text, count = re.subn(pattern, lambda _: by, file.read_text(), flags=re.MULTILINE)
    if count != 1:
        raise SystemExit(f"{file}: {pattern!r} was found {count} times, once is meant")
    file.write_text(text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
