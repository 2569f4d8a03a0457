"""A folder as an archive, when a command of root's has written into it."""

import os
from pathlib import Path

import pytest

from appliance.storage.archive.folder import FolderArchive


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
def test_what_root_stores_belongs_to_whom_the_place_belongs(tmp_path: Path) -> None:
    """Else root, restoring into a directory that is not there yet, would lock the service out of its own backups."""
    os.chown(tmp_path, 54321, 54321)
    FolderArchive(tmp_path).put("locks/one/probe", b"x")
    assert {path.stat().st_uid for path in tmp_path.rglob("*")} == {54321}
