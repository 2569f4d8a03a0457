"""Build dist/: the program as a folder, the same as .tar.xz, and as one self-extracting .run; then say their sizes.

build.py [--floor 2.31]     fail if the program would need a newer C library than that
"""

import argparse
import gzip
import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import time
import typing
from collections.abc import Callable
from pathlib import Path

import contents
import inventory
import licences
import manifest

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
FOLDER = DIST / "dash-appliance"
MOST_BYTES = 100_000_000

# 70.2 MB after 71 s of CPU; preset 6 is 3 % smaller and takes 113 s. The x86 filter takes 5 % off for nothing.
XZ = ("xz", "--threads=2", "--x86", "--lzma2=preset=4", "--stdout", "--quiet")


def main() -> int:
    """Build everything; return 1 if the result is larger than it may be, or starts on fewer systems than it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--floor", type=manifest.glibc, help="oldest C library that it must start with")
    floor = parser.parse_args().floor
    began = time.monotonic()
    version = manifest.version()
    _write_handbook()
    _freeze()
    needed = _complete()
    name = f"dash-appliance-{version}-linux-{platform.machine()}"
    payload = _pack(DIST / f"{name}.tar.xz")
    runnable = _self_extracting(DIST / f"{name}.run", payload, version)
    size = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file() and not path.is_symlink())
    print(f"{FOLDER.relative_to(ROOT)}/  {size / 1e6:.1f} MB, needs glibc {needed[0]}.{needed[1]}")
    for file in (payload, runnable):
        print(f"{file.relative_to(ROOT)}  {file.stat().st_size / 1e6:.1f} MB")
    print(f"built in {time.monotonic() - began:.0f} s")
    too_large = runnable.stat().st_size > MOST_BYTES
    if too_large:
        print(f"larger than {MOST_BYTES / 1e6:.0f} MB: look into packaging/contents.py", file=sys.stderr)
    too_new = floor is not None and needed > floor
    if too_new:
        print(f"it would not start with glibc {floor[0]}.{floor[1]}: see {manifest.WHERE}", file=sys.stderr)
    return too_large or too_new


def _write_handbook() -> None:
    """Make the pages of /docs, which the program carries."""
    command = [sys.executable, "-m", "handbook", "site", str(contents.HANDBOOK)]
    subprocess.run(command, check=True, cwd=ROOT)


def _freeze() -> None:
    for tool in ("xz", "strip", "objdump"):
        if shutil.which(tool) is None:
            raise SystemExit(f"building needs {tool}: run 'make tools' (Debian: xz-utils, binutils)")
    shutil.rmtree(FOLDER, ignore_errors=True)
    command = [
        sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR",
        "--distpath", str(DIST), "--workpath", str(ROOT / "build"), str(ROOT / "packaging" / "dash-appliance.spec"),
    ]  # fmt: skip
    # Without the columns of each instruction, which only underline the words of a traceback, code takes less memory.
    environment = os.environ | {"PYTHONHASHSEED": "0", "PYTHONNODEBUGRANGES": "1"}
    subprocess.run(command, check=True, cwd=ROOT, env=environment)


def _complete() -> tuple[int, int]:
    """Add to the folder what is not the program itself; return the C library that it needs."""
    inventory.main()
    components = inventory.read()
    if missing := licences.without_text(components):
        raise SystemExit(f"these come without the text of their licence: {', '.join(missing)}")
    (FOLDER / "THIRD-PARTY-LICENSES.txt").write_text(licences.page(components), "utf-8")
    shutil.copy(ROOT / "LICENSE.txt", FOLDER / "LICENSE.txt")
    shutil.copytree(ROOT / "installer", FOLDER / "installer", ignore=shutil.ignore_patterns("__pycache__"))
    _only_once(FOLDER / "lib")
    _completions(FOLDER / "installer" / "completion")
    for path in FOLDER.rglob("*"):
        if path.is_file() and not path.is_symlink():
            runs = path == FOLDER / "dash-appliance" or path.suffix == ".sh"
            path.chmod(0o755 if runs else 0o644)
    return manifest.write(FOLDER, _when())


def _only_once(libraries: Path) -> None:
    """Make links of libraries that lie beside their package too: PyInstaller does so only for some environments."""
    for path in sorted(libraries.glob("*.so*")):
        if path.is_symlink():
            continue
        for other in sorted(libraries.glob(f"*/{path.name}")):
            if not other.is_symlink() and other.read_bytes() == path.read_bytes():
                path.unlink()
                path.symlink_to(other.relative_to(libraries))
                break


def _completions(into: Path) -> None:
    """Ask the program itself how shells complete its commands."""
    into.mkdir()
    for shell, file in (("bash", "dash-appliance.bash"), ("zsh", "_dash-appliance"), ("fish", "dash-appliance.fish")):
        environment = os.environ | {"_DASH_APPLIANCE_COMPLETE": f"{shell}_source"}
        told = subprocess.run([str(FOLDER / "dash-appliance")], env=environment, capture_output=True, check=True)
        (into / file).write_bytes(told.stdout)


def _pack(target: Path) -> Path:
    """Write the folder as .tar.xz: sorted, owned by root, dated by the commit: equal content gives equal files.

    What the release says of itself comes first, so that it is read without unpacking the rest.
    """
    first = FOLDER / manifest.FILE
    with target.open("wb") as out, subprocess.Popen(XZ, stdin=subprocess.PIPE, stdout=out) as compressor:
        with tarfile.open(
            fileobj=typing.cast(typing.BinaryIO, compressor.stdin), mode="w|", format=tarfile.PAX_FORMAT
        ) as archive:
            for path in [first, FOLDER, *(one for one in sorted(FOLDER.rglob("*")) if one != first)]:
                archive.add(path, str(path.relative_to(DIST)), recursive=False, filter=_plain(_when()))
        compressor.communicate()
    if compressor.returncode:
        raise SystemExit(f"writing {target} failed: xz answered {compressor.returncode}")
    return target


def _self_extracting(target: Path, payload: Path, version: str) -> Path:
    """Write the stub, a small decoder and the payload into one file; the places are in bytes, from 1."""
    decoder = _decoder()
    digest = hashlib.sha256(payload.read_bytes()).hexdigest()
    stub = (ROOT / "packaging" / "selfextract.sh").read_text()
    places = {"DECODER_AT": 0, "DECODER_SIZE": len(decoder), "PAYLOAD_AT": 0, "PAYLOAD_SIZE": payload.stat().st_size}
    while True:  # the numbers are part of the text whose length they tell
        text = stub.replace("@VERSION@", version).replace("@DIGEST@", digest)
        for key, value in places.items():
            text = text.replace(f"@{key}@", str(value))
        start = len(text.encode())
        settled = {**places, "DECODER_AT": start + 1, "PAYLOAD_AT": start + len(decoder) + 1}
        if settled == places:
            break
        places = settled
    target.write_bytes(text.encode() + decoder + payload.read_bytes())
    target.chmod(0o755)
    return target


def _decoder() -> bytes:
    """Return xz and its library as .tar.gz: small systems have gzip and tar, but no xz."""
    program = Path(shutil.which("xz") or "").resolve()
    linked = subprocess.run(["ldd", str(program)], check=True, capture_output=True, text=True).stdout
    library = next(Path(line.split()[2]) for line in linked.splitlines() if "liblzma" in line)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, path in (("xz", program), ("liblzma.so.5", library.resolve())):
            archive.add(path, name, filter=_plain(0))
    return gzip.compress(packed.getvalue(), mtime=0)


def _plain(when: int) -> Callable[[tarfile.TarInfo], tarfile.TarInfo]:
    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        member.mtime = when
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return member

    return plain


def _when() -> int:
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    told = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return int(told.stdout) if told.returncode == 0 and told.stdout.strip() else 0


if __name__ == "__main__":
    sys.exit(main())
