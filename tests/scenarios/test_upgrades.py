"""A release uploaded by the API: kept, looked at, refused with every reason; asked for only where somebody takes it."""

from pathlib import Path

import pytest

from appliance.errors import Conflict, NotFound
from appliance.upgrading import staging
from tests.scenarios.conftest import Scene

BUNDLE, SIGNATURE = "/api/v1/upgrade/bundle", "/api/v1/upgrade/signature"


async def test_what_is_no_release_is_kept_told_and_dropped(scene: Scene) -> None:
    async with scene.client(scene.tokens["admin"]) as admin:
        assert (await admin.get("/api/v1/upgrade")).json()["staged"] is None
        assert (await admin.post("/api/v1/upgrade")).status_code == 404
        half = (await admin.put(BUNDLE, content=b"no release")).json()
        assert half["staged"]["trouble"] == "the signature, the .sig file beside it, is missing"
        whole = (await admin.put(SIGNATURE, content=b"no signature")).json()
        assert (whole["staged"]["go"], whole["staged"]["version"]) == (False, None)
        refused = await admin.post("/api/v1/upgrade")
        assert refused.status_code == 409
        assert refused.json()["detail"].startswith("this release cannot be taken: ")
        long = await admin.put(SIGNATURE, content=b"x" * ((1 << 16) + 1))
        assert long.status_code == 413
        assert (await admin.delete("/api/v1/upgrade")).status_code == 204
        assert (await admin.get("/api/v1/upgrade")).json()["staged"] is None


def waiting(data_dir: Path) -> Path:
    folder = data_dir / "upgrade"
    folder.mkdir(parents=True)
    for name in ("release.tar.xz", "release.tar.xz.sig", "wanted.json"):
        (folder / name).write_bytes(name.encode())
    return folder


def test_what_waits_is_taken_to_where_the_service_cannot_reach_it(tmp_path: Path) -> None:
    folder = waiting(tmp_path / "data")
    bundle, signature = staging.taken(tmp_path / "data", tmp_path / "incoming")
    assert (bundle.read_bytes(), signature.read_bytes()) == (b"release.tar.xz", b"release.tar.xz.sig")
    assert not (folder / "wanted.json").exists()  # so that the wish is heard once
    assert (tmp_path / "incoming").stat().st_mode & 0o777 == 0o700


def test_no_link_is_followed_and_nothing_but_a_file_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = waiting(tmp_path / "data")
    (folder / "release.tar.xz").unlink()
    (folder / "release.tar.xz").symlink_to("/etc/shadow")
    with pytest.raises(NotFound, match="upload the release and its signature again"):
        staging.taken(tmp_path / "data", tmp_path / "incoming")
    (folder / "release.tar.xz").unlink()
    (folder / "release.tar.xz").mkdir()
    with pytest.raises(Conflict, match="it is no file"):
        staging.taken(tmp_path / "data", tmp_path / "incoming")
    (folder / "release.tar.xz").rmdir()
    (folder / "release.tar.xz").write_bytes(b"12345")
    monkeypatch.setitem(staging.MOST_BYTES, "release.tar.xz", 4)
    with pytest.raises(Conflict, match="larger than any release"):
        staging.taken(tmp_path / "data", tmp_path / "incoming")
