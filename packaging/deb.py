"""The Debian package: the same layout as installer/install.sh makes, with its users, service and configuration."""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
from email.utils import formatdate
from pathlib import Path

import manifest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "packaging" / "debian"
STAGE = ROOT / "build" / "deb"
NAME = "dash-appliance"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_XZ = ("-Zxz", "-z4")  # as dense as the archive itself, nearly; Debian 11 cannot read zstd


def build(folder: Path, into: Path) -> Path:
    """Make the package of the program in ``folder`` and return it."""
    release = json.loads((folder / manifest.FILE).read_text())
    shutil.rmtree(STAGE, ignore_errors=True)
    home = STAGE / "opt" / NAME / "releases" / release["version"]
    # Hard links: a package is made of the same bytes, and copying them would take as long as reading them.
    shutil.copytree(folder, home, symlinks=True, copy_function=os.link)
    _system(folder / "installer", release)
    _control(release)
    target = into / f"{NAME}_{release['version']}_{MACHINES[release['machine']]}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", *_XZ, "--build", str(STAGE), str(target)],
        check=True,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"SOURCE_DATE_EPOCH": str(release["commit_time"])},
    )
    return target


def _system(installer: Path, release: dict[str, str]) -> None:
    """What lies outside of /opt."""
    usr, doc = STAGE / "usr", STAGE / "usr" / "share" / "doc" / NAME
    places = {
        installer / f"{NAME}.service": usr / "lib" / "systemd" / "system" / f"{NAME}.service",
        installer / f"{NAME}.toml": STAGE / "etc" / NAME / f"{NAME}.toml",
        installer / "completion" / f"{NAME}.bash": usr / "share" / "bash-completion" / "completions" / NAME,
        installer / "completion" / f"_{NAME}": usr / "share" / "zsh" / "vendor-completions" / f"_{NAME}",
        installer / "completion" / f"{NAME}.fish": usr / "share" / "fish" / "vendor_completions.d" / f"{NAME}.fish",
        SCRIPTS / "copyright": doc / "copyright",
        SCRIPTS / "overrides": usr / "share" / "lintian" / "overrides" / NAME,
    }
    for source, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
        place.chmod(0o644)
    (usr / "bin").mkdir()
    (usr / "bin" / NAME).symlink_to(f"/opt/{NAME}/current/{NAME}")
    _packed(usr / "share" / "man" / "man1" / f"{NAME}.1.gz", (installer / f"{NAME}.1").read_text())
    dated = formatdate(int(release["commit_time"]), usegmt=False, localtime=False)
    _packed(
        doc / "changelog.gz",
        f"{NAME} ({release['version']}) stable; urgency=medium\n\n  * See CHANGELOG.md of this release.\n\n"
        f" -- Dash <support@dash.invalid>  {dated}\n",
    )


def _packed(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _control(release: dict[str, str]) -> None:
    control = STAGE / "DEBIAN"
    control.mkdir()
    size = sum(path.lstat().st_size for path in STAGE.rglob("*") if not path.is_dir()) // 1024
    fields = (SCRIPTS / "control").read_text()
    for name, value in (
        ("VERSION", release["version"]),
        ("ARCHITECTURE", MACHINES[release["machine"]]),
        ("SIZE", str(size)),
        ("GLIBC", release["glibc"]),
    ):
        fields = fields.replace(f"@{name}@", value)
    (control / "control").write_text(fields)
    (control / "md5sums").write_text(
        "".join(
            f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(STAGE)}\n"
            for path in sorted(STAGE.rglob("*"))
            if path.is_file() and not path.is_symlink() and control not in path.parents
        )
    )
    (control / "conffiles").write_text(f"/etc/{NAME}/{NAME}.toml\n")
    for script in ("preinst", "postinst", "prerm", "postrm"):
        text = (SCRIPTS / script).read_text().replace("@VERSION@", release["version"])
        (control / script).write_text(text)
        (control / script).chmod(0o755)
