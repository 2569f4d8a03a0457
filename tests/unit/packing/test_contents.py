"""What goes into the bundle does not depend on where and how it is built."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_traces_of_installing_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    contents = __import__("contents")
    names = ("METADATA", "entry_points.txt", "RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
    wanted = [name for name in names if contents.wanted(f"litestar-2.25.0.dist-info/{name}")]
    assert wanted == ["METADATA", "entry_points.txt"]
