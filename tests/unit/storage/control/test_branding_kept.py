"""What is remembered of a brand: pictures are read once; what a newer version kept is understood as far as it goes."""

from datetime import UTC, datetime

import structlog

from appliance.domain.brand import Brand, Kind, Picture, Words
from appliance.storage.control import branding as store
from appliance.storage.control.keeping import remember, remembered
from appliance.storage.control.plane import ControlPlane

NOW = datetime(2026, 11, 29, tzinfo=UTC)
LOGO = Picture("image/png", "00112233", b"\x89PNG\0\xff")


def test_words_and_pictures_come_back_as_they_went(plane: ControlPlane) -> None:
    assert plane.read_now(lambda tx: store.stored(tx, Brand())) == Brand()
    plane.write_now(lambda tx: store.keep_picture(tx, Kind.LOGO, LOGO, NOW))
    plane.write_now(lambda tx: store.keep_words(tx, Words(name="Example"), NOW))
    found = plane.read_now(lambda tx: store.stored(tx, Brand()))
    assert found == Brand(Words(name="Example"), {Kind.LOGO: LOGO})
    again = plane.read_now(lambda tx: store.stored(tx, found))
    assert again.pictures[Kind.LOGO] is found.pictures[Kind.LOGO]
    assert plane.write_now(lambda tx: store.forget_picture(tx, Kind.LOGO, NOW))
    assert not plane.write_now(lambda tx: store.forget_picture(tx, Kind.LOGO, NOW))
    plane.write_now(lambda tx: store.keep_picture(tx, Kind.LOGO, LOGO, NOW))
    assert plane.write_now(store.forget_all)
    assert plane.read_now(lambda tx: remembered(tx, "branding.logo")) is None
    assert not plane.write_now(store.forget_all)


def test_what_a_newer_version_kept_is_understood_as_far_as_it_goes(plane: ControlPlane) -> None:
    newer = {
        "words": {"name": "Example", "accent_dark": "#ffffff"},
        "pictures": {"wallpaper": {"media": "x"}},
        "more": 1,
    }
    plane.write_now(lambda tx: remember(tx, store.KEY, newer, NOW))
    assert plane.read_now(lambda tx: store.stored(tx, Brand())) == Brand(Words(name="Example"))
    plane.write_now(lambda tx: remember(tx, store.KEY, {"words": {"name": 7}}, NOW))
    with structlog.testing.capture_logs() as logs:
        assert plane.read_now(lambda tx: store.stored(tx, Brand())) == Brand()
    assert [line["event"] for line in logs] == ["branding.not_understood"]
