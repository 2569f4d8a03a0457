"""What every ArchiveStore promises, asked of each adapter: a folder, and a bucket on a server that speaks S3."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.components.archive import ArchiveStore, Stored
from appliance.errors import Conflict, NotFound, TransientError
from appliance.storage.archive.folder import FolderArchive
from appliance.storage.archive.probe import try_out

LARGE = 20_000_001  # three pieces of 8 MiB


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArchiveStore:
    if request.param == "folder":
        (tmp_path / "archive").mkdir()
        return FolderArchive(tmp_path / "archive")
    s3 = request.getfixturevalue("s3")
    archive: ArchiveStore = s3.archive(s3.new_bucket())
    return archive


def content(store: ArchiveStore, key: str) -> bytes:
    return b"".join(store.read(key))


def test_gives_back_what_was_stored(store: ArchiveStore) -> None:
    store.put("here/pl/one", b"1")
    store.put("here/pl/none", b"")
    store.put("here/pl/one", b"instead")
    assert (content(store, "here/pl/one"), content(store, "here/pl/none")) == (b"instead", b"")


def test_stores_files_of_any_size(store: ArchiveStore, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(os.urandom(LARGE))
    store.put("here/large", large)
    pieces = list(store.read("here/large"))
    assert [len(piece) for piece in pieces] == [8 << 20, 8 << 20, LARGE - (16 << 20)]
    assert b"".join(pieces) == large.read_bytes()


def test_an_object_that_is_there_is_not_replaced_by_one_that_must_be_new(store: ArchiveStore) -> None:
    store.put("here/owner", b"1", only_new=True)
    with pytest.raises(Conflict):
        store.put("here/owner", b"2", only_new=True)
    assert content(store, "here/owner") == b"1"


def test_lists_what_is_below_a_folder_and_nothing_beside_it(store: ArchiveStore) -> None:
    for key in ("here/pl/one", "here/pl/deeper/two", "here/pl_other/three", "there/pl/four"):
        store.put(key, b"12345")
    assert sorted(store.list("here/pl"), key=lambda one: one.key) == [
        Stored("here/pl/deeper/two", 5), Stored("here/pl/one", 5),
    ]  # fmt: skip
    assert list(store.list("nowhere")) == []


def test_removes_and_passes_over_what_is_not_there(store: ArchiveStore) -> None:
    store.put("here/one", b"1")
    store.put("here/two", b"2")
    store.delete(["here/one", "here/none", "here/two"])
    assert list(store.list("here")) == []
    with pytest.raises(NotFound):
        content(store, "here/one")


def test_a_file_that_is_not_there_is_no_trouble_of_the_archive(store: ArchiveStore, tmp_path: Path) -> None:
    with pytest.raises((FileNotFoundError, TransientError)) as caught:
        store.put("here/one", tmp_path / "none")
    assert "none" in str(caught.value) or "No such file" in str(caught.value)
    assert list(store.list("here")) == []


def test_can_be_tried_out_without_leaving_anything(store: ArchiveStore) -> None:
    (tried,) = try_out(store, "here")
    assert (tried.trouble, tried.message) == (False, f"{store.place} stores, reads, lists and deletes")
    assert list(store.list("here")) == []


@pytest.mark.parametrize("doing", ["put", "read", "list", "delete"])
def test_one_that_is_not_there_at_all_says_so(tmp_path: Path, doing: str, request: pytest.FixtureRequest) -> None:
    s3 = request.getfixturevalue("s3")
    missing: list[tuple[ArchiveStore, str]] = [
        (FolderArchive(tmp_path / "none"), "No such file|mounted"),
        (s3.archive("bucket-never-made"), "there is no such bucket: create it, or correct archive.url"),
        (s3.archive("bucket", "http://127.0.0.1:1"), "no answer: see that the address http://127.0.0.1:1 is right"),
    ]
    work: dict[str, Callable[[ArchiveStore], object]] = {
        "put": lambda store: store.put("here/one", b"1"),
        "read": lambda store: content(store, "here/one"),
        "list": lambda store: list(store.list("here")),
        "delete": lambda store: store.delete(["here/one"]),
    }
    for store, told in missing:
        with pytest.raises(TransientError, match=told):
            work[doing](store)
