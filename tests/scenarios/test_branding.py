"""White label over the API: set, shown to everybody, refused without a licence, kept without one, and taken away."""

from datetime import timedelta
from typing import Any

import pytest

from appliance.compose import opened
from appliance.domain.clock import utc_now
from tests.licensed import RING, issued, today
from tests.pictures import FINE, png

HERE = "/api/v1/branding"
WORDS = {
    "name": "<script>alert('Ä')</script>",
    "accent": "#0B6E4F",
    "support": {"text": "Help desk, 4711", "link": "mailto:help@example.org"},
    "powered_by": False,
    "name_beside_logo": False,
}
LABELLED = ("white_label",)


@pytest.fixture
async def labelled(scene: Any, api: Any) -> Any:
    """The API of an administrator whose licence names white label."""
    await scene.it.services.licenses.install(scene.admin, issued(features=LABELLED))
    return api


async def test_it_is_dash_until_somebody_says_otherwise(scene: Any) -> None:
    async with scene.client() as anybody:
        shown = await anybody.get(HERE)
        assert shown.status_code == 200
        assert shown.json() == {
            "own": False, "name": "Dash", "accent": None, "support": None, "powered_by": True, "name_beside_logo": True,
            "logo": None, "logo_dark": None, "favicon": None,
        }  # fmt: skip
        missing = await anybody.get(f"{HERE}/logo")
        assert (missing.status_code, missing.json()["code"]) == (404, "E_NOT_FOUND")
        unknown = await anybody.get(f"{HERE}/wallpaper")
        assert "logo, logo_dark, favicon are known" in unknown.json()["detail"]


async def test_what_is_set_is_shown_to_everybody_and_is_there_after_a_restart(scene: Any, labelled: Any) -> None:
    answer = await labelled.put(HERE, json=WORDS)
    assert answer.status_code == 200, answer.text
    for kind, data in (("logo", FINE.encode()), ("logo_dark", png()), ("favicon", png())):
        answer = await labelled.put(f"{HERE}/{kind}", content=data)
        assert answer.status_code == 200, answer.text
    async with scene.client() as anybody:
        shown = (await anybody.get(HERE)).json()
        assert shown["own"] is True
        assert {name: shown[name] for name in WORDS} == WORDS | {"accent": "#0b6e4f"}
        logo = await anybody.get(shown["logo"])
        assert (logo.status_code, logo.content) == (200, FINE.encode())
        assert logo.headers["content-type"].partition(";")[0] == "image/svg+xml"
        assert logo.headers["content-security-policy"].startswith(
            "sandbox; default-src 'none'; style-src 'unsafe-inline'"
        )
        assert logo.headers["x-content-type-options"] == "nosniff"
        assert "immutable" in logo.headers["cache-control"]
        unnamed = await anybody.get(f"{HERE}/logo", headers={"if-none-match": logo.headers["etag"]})
        assert (unnamed.status_code, unnamed.content, unnamed.headers["cache-control"]) == (304, b"", "no-cache")
        assert (await anybody.get(shown["logo_dark"])).headers["content-type"] == "image/png"
        assert (await anybody.get(HERE, params={"x": "1"})).status_code == 200
    async with opened(scene.it.settings, scene.it.bronze, ring=RING) as again:  # the same control plane
        await again.services.branding.look()
        assert again.services.branding.now() == scene.it.services.branding.now()
    trail = [one["action"] for one in (await labelled.get("/api/v1/audit")).json()["items"]]
    assert trail.count("branding.picture") == 3
    assert trail.count("branding.change") == 1


async def test_words_replace_words_and_pictures_stay(labelled: Any) -> None:
    await labelled.put(HERE, json=WORDS)
    await labelled.put(f"{HERE}/logo", content=png())
    answer = (await labelled.put(HERE, json={"name": "Other"})).json()
    assert (answer["name"], answer["accent"], answer["support"], answer["powered_by"]) == ("Other", None, None, True)
    assert answer["logo"] is not None
    assert (await labelled.delete(f"{HERE}/logo")).status_code == 204
    assert (await labelled.delete(f"{HERE}/logo")).status_code == 204
    assert (await labelled.get(HERE)).json()["logo"] is None


async def test_without_the_feature_editing_is_refused_and_taking_away_is_not(scene: Any, labelled: Any) -> None:
    await labelled.put(HERE, json=WORDS)
    await labelled.put(f"{HERE}/logo", content=png())
    await labelled.put(f"{HERE}/favicon", content=png())
    before = (await labelled.get(HERE)).json()
    await labelled.put("/api/v1/license", json={"document": issued()})  # a valid one that does not name it
    refused = [
        await labelled.put(HERE, json={"name": "Other"}),
        await labelled.put(HERE, json={"accent": "yellow"}),
        await labelled.put(f"{HERE}/logo", content=b"nothing"),
        await labelled.put(f"{HERE}/logo", content=b"x" * 300_000),
    ]
    for one in refused:
        assert (one.status_code, one.json()["code"]) == (403, "E_UNLICENSED")
        assert one.json()["detail"].startswith(
            "the licence has no white label: what was set stays and may be taken away"
        )
        assert "install a licence that names white_label on the page Licence" in one.json()["detail"]
    assert scene.it.allowance.refused["white_label"] == 4
    assert (await labelled.get(HERE)).json() == before
    assert (await labelled.delete(f"{HERE}/favicon")).status_code == 204
    assert (await labelled.delete(HERE)).status_code == 204
    assert (await labelled.get(HERE)).json()["own"] is False
    assert (await labelled.get(f"{HERE}/logo")).status_code == 404


async def test_the_licence_tells_of_it_beforehand_and_what_was_set_outlives_it(scene: Any, labelled: Any) -> None:
    await labelled.put(HERE, json={"name": "Example Insight"})
    edit = {"name": "edit white label", "allowed": True}
    now = (await labelled.get("/api/v1/license")).json()
    assert edit in now["deeds"]
    later = (await labelled.get("/api/v1/license/simulate", params={"date": "2099-01-01"})).json()
    assert edit | {"allowed": False} in later["deeds"]
    preview = (await labelled.post("/api/v1/license/preview", json={"document": issued()})).json()
    assert {"what": "white label", "before": "yes", "after": "no"} in preview["changes"]
    assert edit | {"allowed": False} in preview["after"]["deeds"]  # valid, and does not name it
    scene.it.allowance._clock = lambda: utc_now() + timedelta(days=9999)  # the licence has lapsed
    assert scene.it.allowance.now().today > today() + timedelta(days=9000)
    refused = await labelled.put(HERE, json={"name": "Other"})
    assert refused.json()["detail"].startswith("Community has no white label")
    assert (await labelled.get(HERE)).json()["name"] == "Example Insight"


async def test_what_is_wrong_is_told_all_at_once_and_changes_nothing(labelled: Any) -> None:
    wrong = {"name": "A" * 10_000, "accent": "#ffcc00", "support": {"text": "x\ny", "link": "javascript:alert(1)"}}
    answer = await labelled.put(HERE, json=wrong)
    problems = {one["pointer"]: one for one in answer.json()["problems"]}
    assert (answer.status_code, list(problems)) == (422, ["/name", "/accent", "/support/text", "/support/link"])
    assert "contrast of 1.32 : 1" in problems["/accent"]["message"]
    assert problems["/accent"]["hint"] == "the nearest that has it is #856a00"
    unknown = await labelled.put(HERE, json={"nmae": "x", "powered_by": "no"})
    assert {one["pointer"] for one in unknown.json()["problems"]} == {"/nmae", "/powered_by"}
    large = await labelled.put(f"{HERE}/logo", content=b"\x89PNG\r\n\x1a\n" + b"x" * (256 << 10))
    assert (large.status_code, large.json()["code"]) == (413, "E_TOO_LARGE")
    assert "262,152 bytes, and 262,144 are allowed" in large.json()["detail"]
    assert (await labelled.put(f"{HERE}/logo", content=b"x" * (2 << 20))).status_code == 413
    script = await labelled.put(f"{HERE}/logo", content=FINE.replace("<path", "<script/><path").encode())
    assert (script.status_code, script.json()["problems"][0]["message"]) == (422, "line 1 has an element <script>")
    assert (await labelled.put(f"{HERE}/logo", content=b"")).status_code == 422
    assert (await labelled.get(HERE)).json()["own"] is False
