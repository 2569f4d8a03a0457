"""A release uploaded by the API: kept, looked at, refused with every reason; asked for only where somebody takes it."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.errors import Conflict
from appliance.settings import load
from appliance.upgrading.staging import Staging
from tests.scenarios.conftest import Scene

SIGNED = "release.tar.xz.sig"
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
        assert sorted(os.listdir(scene.it.settings.server.data_dir / "upgrade")) == ["release.tar.xz", SIGNED]
        long = await admin.put(SIGNATURE, content=b"x" * ((1 << 16) + 1))
        assert long.status_code == 413
        assert sorted(os.listdir(scene.it.settings.server.data_dir / "upgrade")) == ["release.tar.xz", SIGNED]
        assert (await admin.delete("/api/v1/upgrade")).status_code == 204
        assert (await admin.get("/api/v1/upgrade")).json()["staged"] is None


async def test_what_is_dropped_or_asked_for_while_it_comes_in_is_no_error_of_ours(tmp_path: Path) -> None:
    staging, folder = Staging(load({"server.data_dir": str(tmp_path)}, env={}), tmp_path), tmp_path / "upgrade"
    go_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"first"
        await go_on.wait()
        yield b"second"

    async def meanwhile(deed: str) -> str:
        go_on.clear()
        coming = asyncio.create_task(staging.receive("release.tar.xz", slowly()))
        await asyncio.sleep(0)
        staging.drop() if deed == "drop" else (folder / "wanted.json").write_text("{}")
        go_on.set()
        with pytest.raises(Conflict) as caught:
            await coming
        return str(caught.value)

    assert await meanwhile("drop") == "what was sent was dropped meanwhile: send it again"
    assert (await meanwhile("order")).startswith("an upgrade is asked for already")
    assert os.listdir(folder) == ["wanted.json"]
