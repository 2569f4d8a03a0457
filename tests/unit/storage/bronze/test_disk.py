"""Writing everything, whatever the kernel takes at a time."""

import os
from pathlib import Path

import pytest

from appliance.storage.bronze.disk import write_all, write_new


@pytest.fixture
def fd(tmp_path: Path) -> int:
    return os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)


def test_more_buffers_than_one_call_takes(fd: int) -> None:
    write_all(fd, [b"%04d" % number for number in range(2500)], 3)  # IOV_MAX is 1024
    assert os.pread(fd, 20_000, 3) == b"".join(b"%04d" % number for number in range(2500))
    os.close(fd)


def test_goes_on_after_a_partial_write(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, single = os.pwritev, os.pwrite
    monkeypatch.setattr(os, "pwritev", lambda fd, buffers, offset: whole(fd, [b"".join(buffers)[:5]], offset))
    monkeypatch.setattr(os, "pwrite", lambda fd, content, offset: single(fd, content[:2], offset))
    write_all(fd, [b"abc", b"defgh", b"ij"], 1)
    assert os.pread(fd, 100, 0) == b"\0abcdefghij"
    os.close(fd)


def test_a_new_file_appears_whole(tmp_path: Path) -> None:
    write_new(tmp_path / "a.idx", b"content")
    write_new(tmp_path / "a.idx", b"other")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.idx", b"other")]
