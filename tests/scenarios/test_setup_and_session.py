"""The first run, signing in and out, passwords, and requests forged by other sites."""

from typing import Any

CONTROL_PLANES = ("embedded", "postgresql")

ADMIN = "ada@example.org"
PASSWORD = "correct horse battery"
SETUP = {"admin_email": ADMIN, "admin_password": PASSWORD, "organisation": "Example Works"}


async def test_the_first_run_happens_once(bare: Any) -> None:
    async with bare.client() as client:
        assert (await client.get("/api/v1/setup")).json()["needed"] is True
        done = await client.post("/api/v1/setup", json=SETUP | {"token": True})
        assert done.status_code == 201
        assert done.json()["principal"]["role"] == "admin"
        assert done.json()["token"].startswith("dash_")
        assert (await client.get("/api/v1/session")).json()["principal"]["name"] == ADMIN  # by the cookie
        assert (await client.get("/api/v1/setup")).json()["needed"] is False
        again = await client.post("/api/v1/setup", json=SETUP)
        assert (again.status_code, again.json()["code"]) == (409, "E_CONFLICT")


async def test_the_sample_workspace_lives(bare: Any) -> None:
    async with bare.client() as client:
        await client.post("/api/v1/setup", json=SETUP | {"sample": True})
        pipelines = (await client.get("/api/v1/pipelines")).json()["items"]
        assert [one["name"] for one in pipelines] == ["this-host", "orders-demo"]
        assert [one["state"] for one in pipelines] == ["running", "running"]
        dashboards = (await client.get("/api/v1/dashboards")).json()["items"]
        assert [one["name"] for one in dashboards] == ["This host"]
        data = (await client.get(f"/api/v1/dashboards/{dashboards[0]['id']}/data")).json()
        assert set(data) == {widget["id"] for widget in dashboards[0]["widgets"]}


async def test_setup_tells_every_mistake(bare: Any) -> None:
    async with bare.client() as client:
        answer = await client.post("/api/v1/setup", json={"admin_email": 7, "admin_password": "short", "smple": True})
    assert answer.status_code == 422
    assert sorted(one["pointer"] for one in answer.json()["problems"]) == ["/admin_email", "/admin_password", "/smple"]


async def test_an_address_without_at_is_refused(bare: Any) -> None:
    async with bare.client() as client:
        answer = await client.post("/api/v1/setup", json=SETUP | {"admin_email": "ada"})
    assert answer.json()["problems"][0]["pointer"] == "/admin_email"


async def test_signing_in_gives_a_cookie_that_scripts_cannot_read(scene: Any) -> None:
    async with scene.client() as client:
        answer = await client.post("/api/v1/session", json={"email": " ADA@example.org", "password": PASSWORD})
        assert answer.status_code == 201
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("dash_session=")
        assert cookie.endswith("; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax")  # 30 days
        assert (await client.get("/api/v1/session")).json()["principal"]["role"] == "admin"
        assert (await client.delete("/api/v1/session")).status_code == 204
        client.cookies.set("dash_session", cookie.split("=")[1].split(";")[0])
        assert (await client.get("/api/v1/session")).status_code == 401  # ended on the server too


async def test_the_cookie_is_for_encrypted_connections_where_there_is_one(scene: Any) -> None:
    async with scene.client() as client:
        answer = await client.post("https://dash.test/api/v1/session", json={"email": ADMIN, "password": PASSWORD})
    assert answer.headers["set-cookie"].endswith("; Secure")


async def test_a_wrong_password_is_told_like_a_wrong_address(scene: Any) -> None:
    async with scene.client() as client:
        wrong = await client.post("/api/v1/session", json={"email": ADMIN, "password": "wrong password"})
        nobody = await client.post("/api/v1/session", json={"email": "x@example.org", "password": PASSWORD})
    assert wrong.status_code == nobody.status_code == 401
    assert wrong.json()["detail"] == nobody.json()["detail"]
    assert wrong.headers["www-authenticate"].startswith("Bearer")


async def test_guessing_passwords_is_slowed_down(scene: Any) -> None:
    async with scene.client() as client:
        for _ in range(5):
            await client.post("/api/v1/session", json={"email": ADMIN, "password": "guess"})
        answer = await client.post("/api/v1/session", json={"email": ADMIN, "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (429, "E_RATE_LIMITED")
    assert 890 <= int(answer.headers["retry-after"]) <= 900


async def test_a_new_password_ends_every_session(scene: Any) -> None:
    async with scene.client() as client, scene.client() as elsewhere:
        for one in (client, elsewhere):
            await one.post("/api/v1/session", json={"email": ADMIN, "password": PASSWORD})
        refused = await client.put("/api/v1/session/password", json={"old": "wrong password", "new": "x" * 12})
        assert refused.status_code == 401
        done = await client.put("/api/v1/session/password", json={"old": PASSWORD, "new": "staple of a battery"})
        assert done.status_code == 204
        assert (await elsewhere.get("/api/v1/session")).status_code == 401
        again = await client.post("/api/v1/session", json={"email": ADMIN, "password": "staple of a battery"})
        assert again.status_code == 201


async def test_a_disabled_user_is_out_at_once(scene: Any, api: Any) -> None:
    new = {"email": "grace@example.org", "password": "a long pass phrase", "role": "editor"}
    user = (await api.post("/api/v1/users", json=new)).json()
    async with scene.client() as client:
        await client.post("/api/v1/session", json={"email": new["email"], "password": new["password"]})
        assert (await client.get("/api/v1/pipelines")).status_code == 200
        assert (await api.put(f"/api/v1/users/{user['id']}/role", json={"role": "viewer"})).json()["role"] == "viewer"
        assert (await client.post("/api/v1/pipelines", json={})).status_code == 403  # the role counts at once
        assert (await api.post(f"/api/v1/users/{user['id']}/disable")).json()["disabled"] is True
        assert (await client.get("/api/v1/pipelines")).status_code == 401
        again = await client.post("/api/v1/session", json={"email": new["email"], "password": new["password"]})
        assert again.status_code == 401


async def test_the_last_administrator_stays(scene: Any, api: Any) -> None:
    (admin,) = (await api.get("/api/v1/users")).json()["items"]
    assert (await api.post(f"/api/v1/users/{admin['id']}/disable")).status_code == 409
    assert (await api.put(f"/api/v1/users/{admin['id']}/role", json={"role": "viewer"})).status_code == 409
    twice = await api.post("/api/v1/users", json={"email": "ADA@EXAMPLE.ORG", "password": "a long pass phrase"})
    assert twice.status_code == 409


async def test_another_site_cannot_use_the_cookie(scene: Any) -> None:
    async with scene.client() as client:
        await client.post("/api/v1/session", json={"email": ADMIN, "password": PASSWORD})
        for forged in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            answer = await client.post("/api/v1/tokens", json={"name": "x"}, headers=forged)
            assert (answer.status_code, answer.json()["code"]) == (403, "E_FORBIDDEN")
        own = await client.post("/api/v1/tokens", json={"name": "x"}, headers={"origin": "http://dash.test"})
        assert own.status_code == 201
        by_token = {"origin": "https://evil.example", "authorization": f"Bearer {own.json()['token']}"}
        read = await client.post("/api/v1/mappings/preview", json={}, headers=by_token)
        assert read.status_code == 422  # a token is never sent by a browser on its own


async def test_tokens_are_shown_once_and_die_when_revoked(scene: Any, api: Any) -> None:
    created = (await api.post("/api/v1/tokens", json={"name": "grafana", "role": "viewer"})).json()
    token, token_id = created["token"], created["info"]["id"]
    async with scene.client(token) as client:
        assert (await client.get("/api/v1/session")).json()["principal"]["name"] == "token grafana"
        listed = (await api.get("/api/v1/tokens?limit=500")).json()["items"]
        assert token not in str(listed)
        assert (await api.delete(f"/api/v1/tokens/{token_id}")).status_code == 204
        assert (await api.delete(f"/api/v1/tokens/{token_id}")).status_code == 204
        assert (await client.get("/api/v1/session")).status_code == 401


async def test_a_token_that_is_not_one_is_nobody(scene: Any) -> None:
    for wrong in ("dash_", "dash_" + "x" * 38, "nonsense", "dash_é"):
        async with scene.client() as client:
            answer = await client.get("/api/v1/session", headers={"authorization": f"Bearer {wrong}".encode()})
        assert answer.status_code == 401


async def test_the_audit_trail_tells_who_did_what(scene: Any, api: Any) -> None:
    await api.post("/api/v1/tokens", json={"name": "grafana"})
    page = (await api.get("/api/v1/audit?limit=1")).json()
    assert (page["items"][0]["action"], page["items"][0]["detail"]) == (
        "token.create",
        {"name": "grafana", "role": "viewer"},
    )
    following = (await api.get("/api/v1/audit", params={"limit": 1, "cursor": page["next_cursor"]})).json()
    assert following["items"][0]["sequence"] < page["items"][0]["sequence"]


async def test_the_settings_in_force_are_shown(api: Any) -> None:
    settings = (await api.get("/api/v1/settings")).json()
    assert settings["auth.session_idle"] == "12h"


async def test_a_database_can_be_chosen_until_somebody_is_set_up(bare: Any, database: Any, postgres: Any) -> None:
    started_again: list[bool] = []
    bare.it.choosing.again = lambda: started_again.append(True)
    dsn = f"postgresql://dash:hunter2@/{postgres.new_database().split('/')[3].split('?')[0]}?host={postgres.folder}"
    async with bare.client() as nobody:
        kept = (await nobody.get("/api/v1/setup")).json()
        assert kept == {"needed": True, "database": "embedded" if database.url is None else "postgresql"}
        wrong = await nobody.post("/api/v1/setup/database/check", json={"dsn": "postgresql://u:hun@ter2@h/d"})
        assert (wrong.status_code, wrong.json()["problems"][0]["pointer"]) == (422, "/dsn")
        assert "ter2" not in wrong.text
        for path in ("check", ""):  # a socket of this machine is no address that a screen may connect to
            refused = await nobody.post(f"/api/v1/setup/database/{path}".rstrip("/"), json={"dsn": dsn})
            assert "a socket of this machine is not connected to from a screen" in refused.text or database.url
            assert (refused.status_code, "hunter2" in refused.text) == (
                200 if path else 422 if database.url is None else 409, False,
            )  # fmt: skip
        assert started_again == []
        assert (await nobody.post("/api/v1/setup", json=SETUP)).status_code == 201
        for path in ("database/check", "database"):
            late = await nobody.post(f"/api/v1/setup/{path}", json={"dsn": dsn})
            assert late.status_code == 409, late.text
