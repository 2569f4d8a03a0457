"""What root takes of a folder that it must not trust: copies of files, by no link, and none that waits for ever."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.errors import Conflict, NotFound
from appliance.upgrading import taking


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a service has left, beside a file that is none of its own."""
    made = tmp_path / "data" / "upgrade"
    made.mkdir(parents=True)
    for name in ("release.tar.xz", "release.tar.xz.sig"):
        (made / name).write_bytes(name.encode())
    (made / "wanted.json").write_text('{"at": "2026-03-01T12:00:00Z", "version": "1.2.3"}')
    return made


def take(folder: Path) -> taking.Taken:
    return taking.taken(folder.parent, folder.parents[1] / "incoming")


def test_what_waits_is_taken_to_where_the_service_cannot_reach_it(folder: Path) -> None:
    found = take(folder)
    assert (found.bundle.read_bytes(), found.signature.read_bytes()) == (b"release.tar.xz", b"release.tar.xz.sig")
    assert found.version == "1.2.3"
    assert not (folder / "wanted.json").exists()  # so that the wish is heard once
    assert found.bundle.parent.stat().st_mode & 0o777 == 0o700
    (folder / "release.tar.xz").write_bytes(b"another one, after it was looked at")
    assert found.bundle.read_bytes() == b"release.tar.xz"


@pytest.mark.parametrize("wish", ["", "{", "[]", '{"version": 7}', "x" * 100_000])
def test_a_wish_that_cannot_be_read_is_one_for_whatever_lies_there(folder: Path, wish: str) -> None:
    (folder / "wanted.json").write_text(wish)
    assert take(folder).version is None
    assert not (folder / "wanted.json").exists()


def test_no_link_of_a_file_is_followed(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "wanted.json"
    elsewhere.write_text("none of its own")
    (folder / "wanted.json").unlink()
    (folder / "wanted.json").symlink_to(elsewhere)
    assert take(folder).version is None
    assert elsewhere.read_text() == "none of its own"
    (folder / "release.tar.xz").unlink()
    (folder / "release.tar.xz").symlink_to("/etc/passwd")
    with pytest.raises(NotFound, match="have to be there"):
        take(folder)


def test_no_link_of_the_folder_is_followed(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    with pytest.raises(NotFound, match=r"Not a directory|Too many levels"):
        take(folder)
    assert sorted(os.listdir(elsewhere)) == ["release.tar.xz", "release.tar.xz.sig", "wanted.json"]


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_nothing_but_a_file_is_taken(folder: Path, make: Callable[[Path], None]) -> None:
    (folder / "release.tar.xz").unlink()
    make(folder / "release.tar.xz")  # a pipe that nobody writes to would be waited for
    with pytest.raises(Conflict, match="it is no file"):
        take(folder)


def test_no_more_is_taken_than_a_release_can_be(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(taking.MOST_BYTES, "release.tar.xz", 4)
    with pytest.raises(Conflict, match="larger than any release"):
        take(folder)


def test_a_release_that_is_named_is_copied_too(folder: Path, tmp_path: Path) -> None:
    bundle = folder / "release.tar.xz"
    found = taking.kept_from(bundle, folder / "release.tar.xz.sig", tmp_path / "incoming")
    assert [path.name for path in found[:2]] == ["release.tar.xz", "release.tar.xz.sig"]
    bundle.write_bytes(b"exchanged between proving and unpacking")
    assert found.bundle.read_bytes() == b"release.tar.xz"
    with pytest.raises(NotFound, match=r"missing\.sig: No such file"):
        taking.kept_from(bundle, folder / "missing.sig", tmp_path / "incoming")


def test_what_was_taken_does_not_wait_any_more(folder: Path) -> None:
    with taking.into(folder.parents[1]) as incoming:
        taking.taken(folder.parent, incoming)
        assert len(os.listdir(incoming)) == 2
    taking.forgotten(folder.parent)
    taking.forgotten(folder.parent)
    assert (os.listdir(folder), incoming.exists()) == ([], False)


def test_a_wish_that_nobody_can_grant_is_heard_once(folder: Path) -> None:
    taking.unasked(folder.parent)
    assert sorted(os.listdir(folder)) == ["release.tar.xz", "release.tar.xz.sig"]
    with pytest.raises(NotFound):
        taking.unasked(folder)
