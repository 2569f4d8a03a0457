"""A bundle, its manifest and its signature, made with the vendor's own tools; and everything that is not one."""

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.release import NotGenuine, pinned, unpack, verify
from appliance.release.signature import public_keys

PROGRAM = b"\x7fELF the program"
FILES: dict[str, bytes] = {"dash-appliance": PROGRAM, "lib/data.json": b"{}"}


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the vendor's key, somebody else's, and what signs."""
    home = tmp_path_factory.mktemp("vendor")
    for name in ("key", "other"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(home / name)]
        subprocess.run(command, check=True)
    return home


@pytest.fixture(scope="module")
def keys(vendor: Path) -> list[bytes]:
    return public_keys([f'releases namespaces="dash-release" {(vendor / "key.pub").read_text()}'])


def manifest(**changed: Any) -> dict[str, Any]:
    files: list[dict[str, Any]] = [
        {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "runs": "." not in path}
        for path, content in FILES.items()
    ]
    files.append({"path": "lib/alias.json", "link": "data.json"})
    return {
        "format": 1, "version": "1.2.3", "machine": "x86_64", "glibc": "2.31", "python": "3.11.2",
        "commit_time": 1, "control_schema": "v0005", "files": files, "added_later": True,
    } | changed  # fmt: skip


def member(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(f"dash-appliance/{name}")
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def members(told: dict[str, Any]) -> list[tuple[tarfile.TarInfo, bytes]]:
    return [
        member("release.json", json.dumps(told).encode()),
        *(member(path, content) for path, content in FILES.items()),
        member("lib/alias.json", type=tarfile.SYMTYPE, linkname="data.json"),
    ]


def packed(path: Path, content: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:xz", preset=0) as archive:
        for info, data in content:
            archive.addfile(info, io.BytesIO(data))
    return path


def signed(file: Path, key: Path, namespace: str = "dash-release") -> Path:
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(key), str(file)]
    subprocess.run(command, check=True)
    return file.with_name(f"{file.name}.sig")


def test_a_genuine_bundle_is_known_and_unpacked(tmp_path: Path, vendor: Path, keys: list[bytes]) -> None:
    bundle = packed(tmp_path / "b.tar.xz", members(manifest()))
    found = verify(bundle, signed(bundle, vendor / "key"), keys)
    assert (found.version, found.glibc, found.bytes) == ("1.2.3", "2.31", len(PROGRAM) + 2)
    unpack(bundle, found, tmp_path / "here")
    assert (tmp_path / "here" / "dash-appliance").read_bytes() == PROGRAM
    assert (tmp_path / "here" / "dash-appliance").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "here" / "lib" / "data.json").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "here" / "lib" / "alias.json").readlink() == Path("data.json")


def test_the_same_signature_is_proved_by_ssh_keygen(tmp_path: Path, vendor: Path) -> None:
    bundle = packed(tmp_path / "b.tar.xz", members(manifest()))
    signature = signed(bundle, vendor / "key")
    signers = tmp_path / "signers"
    signers.write_text(f'releases namespaces="dash-release" {(vendor / "key.pub").read_text()}')
    command = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", "releases", "-n", "dash-release"]
    with bundle.open("rb") as content:
        answer = subprocess.run([*command, "-s", str(signature)], stdin=content, capture_output=True, check=False)
    assert answer.returncode == 0, answer.stderr


def flipped(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda bundle, sig: flipped(bundle, -20), "it is not the file that was signed"),
        (lambda bundle, sig: bundle.write_bytes(bundle.read_bytes() + b"x"), "it is not the file that was signed"),
        (lambda bundle, sig: sig.write_text("nothing"), "it is no signature"),
        (lambda bundle, sig: sig.write_text(sig.read_text() * 2), "it is no signature"),
        (lambda bundle, sig: sig.write_text("x" * 70_000), "it is too long to be one"),
        (lambda bundle, sig: sig.write_text(sig.read_text().replace("U1NIU0lH", "U1NIU0lI")), "does not know"),
        (lambda bundle, sig: sig.unlink(), "No such file"),
        (lambda bundle, sig: bundle.unlink(), "No such file"),
    ],
)  # fmt: skip
def test_what_was_changed_on_the_way_is_refused(
    tmp_path: Path, vendor: Path, keys: list[bytes], spoil: Callable[[Path, Path], object], why: str
) -> None:
    bundle = packed(tmp_path / "b.tar.xz", members(manifest()))
    signature = signed(bundle, vendor / "key")
    spoil(bundle, signature)
    with pytest.raises(NotGenuine, match=why):
        verify(bundle, signature, keys)


def test_each_byte_of_a_signature_counts(tmp_path: Path, vendor: Path, keys: list[bytes]) -> None:
    bundle = packed(tmp_path / "b.tar.xz", members(manifest()))
    signature = signed(bundle, vendor / "key")
    whole = signature.read_text()
    begin = whole.index("\n") + 1
    for at in range(begin, whole.index("-----END") - 1):
        if whole[at] not in "\n=":
            other = "A" if whole[at] != "A" else "B"
            signature.write_text(whole[:at] + other + whole[at + 1 :])
            with pytest.raises(NotGenuine):
                verify(bundle, signature, keys)


def test_other_signers_other_purposes_and_no_keys(tmp_path: Path, vendor: Path, keys: list[bytes]) -> None:
    bundle = packed(tmp_path / "b.tar.xz", members(manifest()))
    with pytest.raises(NotGenuine, match="a key that this version does not know"):
        verify(bundle, signed(bundle, vendor / "other"), keys)
    bundle.with_name("b.tar.xz.sig").unlink()
    with pytest.raises(NotGenuine, match="it was made for 'file'"):
        verify(bundle, signed(bundle, vendor / "key", "file"), keys)
    with pytest.raises(NotGenuine, match="built without a key"):
        verify(bundle, bundle.with_name("b.tar.xz.sig"), [])


@pytest.mark.parametrize(
    "path", ["../out", "/etc/passwd", "a/../../b", "a//b", "./a", "", "a\0b", "dash-appliance"]
)  # fmt: skip
def test_a_manifest_names_only_places_inside(tmp_path: Path, vendor: Path, keys: list[bytes], path: str) -> None:
    told = manifest()
    told["files"].append({"path": path, "size": 0, "sha256": ""})
    bundle = packed(tmp_path / "b.tar.xz", members(told))
    with pytest.raises(NotGenuine, match="no place for a file"):
        verify(bundle, signed(bundle, vendor / "key"), keys)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda all_: [*all_, member("lib/more", b"x")], "which its manifest does not name so"),
        (lambda all_: [*all_, member("lib/data.json", b"{}")], "which its manifest does not name so"),
        (lambda all_: all_[:-1], "1 of its files are missing, such as 'lib/alias.json'"),
        (lambda all_: [*all_[:2], member("lib/data.json", b"[]"), all_[3]], "is not the file that its manifest names"),
        (lambda all_: [*all_[:2], member("lib/data.json", b"{} "), all_[3]], "is not the file that its manifest names"),
        (lambda all_: [*all_[:2], member("lib/data.json", type=tarfile.FIFOTYPE), all_[3]], "is not the file"),
        (lambda all_: [*all_[:3], member("lib/alias.json", type=tarfile.SYMTYPE, linkname="/etc")], "does not name so"),
        (lambda all_: [*all_[:3], member("lib/alias.json", type=tarfile.LNKTYPE, linkname="data.json")], "not name so"),
    ],
)  # fmt: skip
def test_nothing_is_unpacked_that_the_manifest_does_not_name(
    tmp_path: Path, vendor: Path, keys: list[bytes], change: Callable[[list[Any]], list[Any]], why: str
) -> None:
    bundle = packed(tmp_path / "b.tar.xz", change(members(manifest())))
    found = verify(bundle, signed(bundle, vendor / "key"), keys)
    with pytest.raises(NotGenuine, match=why):
        unpack(bundle, found, tmp_path / "here")


def test_the_keys_that_are_pinned_can_be_read() -> None:
    assert all(len(key) == 32 for key in pinned())


@pytest.mark.parametrize(
    "version", ["1.2.3/../../etc", "../1.2.3", "1.2.3\n", "1.2", "1.2.3 ", "", "1.2.3-" + "a" * 64]
)
def test_a_version_is_no_path(tmp_path: Path, vendor: Path, keys: list[bytes], version: str) -> None:
    bundle = packed(tmp_path / "b.tar.xz", members(manifest(version=version)))
    with pytest.raises(NotGenuine, match="its manifest cannot be read"):
        verify(bundle, signed(bundle, vendor / "key"), keys)


@pytest.mark.parametrize(("path", "link"), [("a/up", "../.."), ("a/b/out", "up/.."), ("out", "/etc"), ("a/x", "..\0")])
def test_no_link_leads_out_also_not_by_another_link(
    tmp_path: Path, vendor: Path, keys: list[bytes], path: str, link: str
) -> None:
    told = manifest()
    told["files"].append({"path": path, "link": link})
    bundle = packed(tmp_path / "b.tar.xz", members(told))
    with pytest.raises(NotGenuine, match="no place for a file"):
        verify(bundle, signed(bundle, vendor / "key"), keys)


def test_nothing_lies_behind_a_link(tmp_path: Path, vendor: Path, keys: list[bytes]) -> None:
    told = manifest()
    told["files"] += [
        {"path": "way", "link": "lib"},
        {"path": "way/x", "size": 0, "sha256": hashlib.sha256().hexdigest()},
    ]
    way = [member("way", type=tarfile.SYMTYPE, linkname="lib"), member("way/x")]
    bundle = packed(tmp_path / "b.tar.xz", [*members(told), *way])
    with pytest.raises(NotGenuine, match="would lie behind a link"):
        unpack(bundle, verify(bundle, signed(bundle, vendor / "key"), keys), tmp_path / "here")
    assert not (tmp_path / "here" / "lib" / "x").exists()


def test_modes_and_owners_of_the_archive_and_roots_umask_do_not_count(
    tmp_path: Path, vendor: Path, keys: list[bytes]
) -> None:
    first, program, *others = members(manifest())
    program[0].mode, program[0].uid, program[0].uname = 0o6777, 12345, "somebody"
    bundle = packed(tmp_path / "b.tar.xz", [first, program, *others])
    found = verify(bundle, signed(bundle, vendor / "key"), keys)
    before = os.umask(0o077)
    try:
        unpack(bundle, found, tmp_path / "here")
    finally:
        os.umask(before)
    modes = {path: (tmp_path / "here" / path).stat() for path in ("", "dash-appliance", "lib", "release.json")}
    assert [oct(one.st_mode & 0o7777) for one in modes.values()] == ["0o755", "0o755", "0o755", "0o644"]
    assert {one.st_uid for one in modes.values()} == {os.getuid()}
