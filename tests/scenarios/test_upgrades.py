"""A release uploaded by the API: kept, looked at, refused with every reason; asked for only where somebody takes it."""

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
