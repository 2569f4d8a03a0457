"""``/docs`` over ASGI: what is listed is answered, nothing else is, and nothing is read twice without need."""

import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from appliance.api.handbook import GIVEN, Handbook, leads_here
from appliance.domain.brand import Brand, Words

FILES = {"index.html": "start", "404.html": "not here", "reference/cli.html": "commands", GIVEN: "given = null"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "site"
    made.mkdir()
    listed = {}
    for name, text in FILES.items():
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_text(text)
        (made / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
        listed[name] = [f"tag-of-{len(text)}", "text/html; charset=utf-8"]
    (made / "files.json").write_text(json.dumps(listed))
    (tmp_path / "secret.key").write_text("secret")
    return made


async def asked(room: Handbook, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(room)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://dash") as client:
        client.headers["accept-encoding"] = "identity"
        return await client.request(method, path, headers=headers)


async def test_pages_are_answered_with_and_without_their_ending(folder: Path) -> None:
    room = Handbook(lambda: folder)
    for path, text in {
        "/docs/": "start",
        "/docs/index": "start",
        "/docs/reference/cli": "commands",
        "/docs/reference/cli.html": "commands",
    }.items():
        answer = await asked(room, path)
        assert (answer.status_code, answer.text) == (200, text), path
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await asked(room, "/docs/", "HEAD")).text == ""
    packed = await asked(room, "/docs/", **{"accept-encoding": "gzip"})
    assert (packed.headers["content-encoding"], packed.text) == ("gzip", "start")


async def test_the_address_without_a_slash_leads_to_the_one_with(folder: Path) -> None:
    answer = await asked(Handbook(lambda: folder), "/docs")
    assert (answer.status_code, answer.headers["location"]) == (308, "/docs/")


async def test_what_a_browser_has_is_not_sent_again(folder: Path) -> None:
    room = Handbook(lambda: folder)
    first = await asked(room, "/docs/")
    again = await asked(room, "/docs/", **{"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await asked(room, "/docs/reference/cli", **{"if-none-match": first.headers["etag"]})
    assert other.status_code == 200


async def test_what_the_appliance_is_called_is_told_as_it_is_now(folder: Path) -> None:
    brand = Brand()
    room = Handbook(lambda: folder, lambda: brand)
    assert (await asked(room, "/docs/_/given.js")).text == "globalThis.given = null;\n"
    brand = Brand(Words(name="Example"))
    told = await asked(room, "/docs/_/given.js", **{"if-none-match": f'W/"tag-of-{len(FILES[GIVEN])}"'})
    assert (told.status_code, '"name":"Example"' in told.text) == (200, True)


@pytest.mark.parametrize(
    "path",
    [
        "/docs/nothing",
        "/docs/../secret.key",
        "/docs/%2e%2e/secret.key",
        "/docs/..%2fsecret.key",
        "/docs//etc/passwd",
        "/docs/files.json",
        "/docs/index.html.gz",
        "/docs/reference/",
        "/docs/index.html%00",
        "/docs/" + "a" * 5000,
    ],
)
async def test_what_is_not_listed_is_not_there(folder: Path, path: str) -> None:
    """Asked as a server hands paths over: already decoded, dots and all."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    decoded = httpx.URL("http://dash/x").copy_with(raw_path=path.encode())
    raw = decoded.raw_path.decode().replace("%2e", ".").replace("%2f", "/").replace("%00", "\0")
    scope = {"type": "http", "method": "GET", "path": raw, "headers": []}
    await Handbook(lambda: folder)(scope, None, send)  # type: ignore[arg-type]
    assert (sent[0]["status"], sent[1]["body"]) == (404, b"not here")


async def test_it_is_only_read(folder: Path) -> None:
    answer = await asked(Handbook(lambda: folder), "/docs/", "POST")
    assert (answer.status_code, answer.json()["code"]) == (405, "E_METHOD")
    assert answer.headers["allow"] == "GET, HEAD"


async def test_an_installation_without_a_handbook_says_so() -> None:
    answer = await asked(Handbook(lambda: None), "/docs/errors")
    assert (answer.status_code, answer.json()["code"]) == (404, "E_NOT_FOUND")
    assert "without the handbook" in answer.json()["detail"]


async def test_the_pages_are_found_once_and_only_when_somebody_asks(folder: Path) -> None:
    found: list[int] = []

    def find() -> Path:
        found.append(1)
        return folder

    room = Handbook(find)
    assert found == []
    await asked(room, "/docs/")
    await asked(room, "/docs/nothing")
    assert found == [1]


def test_which_paths_lead_here() -> None:
    paths = ["/docs", "/docs/", "/docs/errors", "/docsx", "/doc", "/api/docs"]
    assert [leads_here(path) for path in paths] == [True, True, True, False, False, False]
