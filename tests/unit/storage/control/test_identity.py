"""The id of a node, kept in its data directory."""

from pathlib import Path

import pytest

from appliance.errors import FatalError
from appliance.storage.control.identity import node_id


def test_it_is_made_once_and_stays(tmp_path: Path) -> None:
    first = node_id(tmp_path / "data")
    assert node_id(tmp_path / "data") == first
    assert (tmp_path / "data" / "node.id").read_text() == f"{first}\n"
    assert node_id(tmp_path / "other") != first


def test_a_file_with_something_else_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "node.id").write_text("node_1")
    with pytest.raises(FatalError, match="does not hold one") as caught:
        node_id(tmp_path)
    assert "put the file back" in caught.value.hint
