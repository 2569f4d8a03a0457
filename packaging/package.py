"""Make of dist/dash-appliance/ what is handed to customers: the .deb, the SBOM, SHA256SUMS, and signatures.

Run after build.py. With DASH_RELEASE_KEY (a private key that ssh-keygen made) the bundle and SHA256SUMS are signed: the
key's passphrase is asked for, or an agent that knows the key is used.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import deb
import inventory
import manifest

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
SIGNERS = ROOT / "appliance" / "release" / "signers"
NAMESPACE = "dash-release"


def main() -> int:
    """Make everything; return 1 if the bundle in dist/ is not of these sources."""
    release = DIST / "dash-appliance" / manifest.FILE
    if not release.exists():
        raise SystemExit("there is no bundle to package: run 'make binary' first")
    (bundle,) = DIST.glob(f"dash-appliance-{manifest.version()}-linux-*.tar.xz")
    stem = bundle.name.removesuffix(".tar.xz")
    files = [bundle, DIST / f"{stem}.run", deb.build(DIST / "dash-appliance", DIST), _sbom(DIST / f"{stem}.cdx.json")]
    sums = DIST / "SHA256SUMS"
    sums.write_text("".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files))
    for file in [*files, sums]:
        print(f"{file.relative_to(ROOT)}  {file.stat().st_size / 1e6:.1f} MB")
    if key := os.environ.get("DASH_RELEASE_KEY"):
        for file in (bundle, sums):
            _sign(file, Path(key))
    else:
        print("not signed: DASH_RELEASE_KEY names no private key")
    return 0


def _sbom(target: Path) -> Path:
    try:
        import sbom  # its library is a tool of development
    except ModuleNotFoundError as error:
        raise SystemExit(f"packaging needs {error.name}: run 'make setup-dev'") from error
    sbom.write(inventory.read(), target)
    return target


def _sign(file: Path, key: Path) -> None:
    """Write ``file``.sig; refuse a key that the program itself would not accept."""
    public = subprocess.run(["ssh-keygen", "-y", "-f", str(key)], capture_output=True, text=True, check=True).stdout
    if public.split()[1] not in Path(os.environ.get("DASH_RELEASE_SIGNERS", SIGNERS)).read_text():
        raise SystemExit(f"signing with {key}: its public key is not in {SIGNERS.relative_to(ROOT)}; add it first")
    signature = file.with_name(f"{file.name}.sig")
    signature.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(file)], check=True)
    print(f"{signature.relative_to(ROOT)}")


if __name__ == "__main__":
    for tool in ("dpkg-deb", "ssh-keygen"):
        if shutil.which(tool) is None:
            raise SystemExit(f"packaging needs {tool}: run 'make tools' (Debian: dpkg, openssh-client)")
    sys.exit(main())
