"""Coming in by an OpenID provider that really is one: the way there and back, who becomes whom, and out again."""

import json
from urllib.parse import parse_qs, urlsplit

import httpx

from license.document import Feature, Limits
from tests.fakes.openid_provider import CLIENT_ID, CLIENT_SECRET, Provider
from tests.licensed import issued
from tests.provider_world import ORIGIN, World

ADMINISTRATORS = [{"group": "bosses", "role": "admin"}, {"group": "staff", "role": "viewer"}]


async def test_somebody_comes_is_known_again_and_changes_with_their_groups(world: World, provider: Provider) -> None:
    await world.set_up(roles=ADMINISTRATORS, otherwise="refuse", domains=["example.org"])
    assert await world.come("/storage?x=1") == "/storage?x=1"
    who = await world.whoami()
    assert (who["name"], who["role"]) == ("grace@example.org", "viewer")
    assert "dash_ticket" not in world.browser.cookies
    provider.person |= {"groups": ["bosses", "staff"], "email": "grace.h@example.org"}  # the subject is who they are
    assert await world.come() == "/storage"
    assert (await world.whoami()) | {"role": "admin"} == who | {"role": "admin"}
    provider.person["groups"] = ["staff"]
    await world.come()
    assert (await world.whoami())["role"] == "viewer"
    provider.person["groups"] = ["guests"]
    assert await world.come() == "/sign-in?refused=role"
    provider.person |= {"groups": ["staff"], "email": "grace@example.net"}
    assert await world.come() == "/sign-in?refused=domain"
    provider.person |= {"email": "grace@example.org", "email_verified": False}
    assert await world.come() == "/sign-in?refused=email"
    provider.person.pop("email_verified")
    provider.userinfo = provider.person | {"email_verified": True, "email": "other@example.org"}
    assert await world.come() == "/sign-in?refused=email"  # of another address that was said
    provider.userinfo |= {"email": "grace@example.org"}
    assert await world.come() == "/storage"
    provider.person |= {"email_verified": True}
    await world.api.post(f"/api/v1/users/{who['user_id']}/disable")
    assert await world.come() == "/sign-in?refused=disabled"
    roles = [(one["detail"].get("before"), one["detail"]["role"]) for one in await world.trail("user.role")]
    assert roles == [("admin", "viewer"), ("viewer", "admin")]
    assert (await world.trail("session.open"))[0]["detail"]["provider"] == "Works"
    people = (await world.api.get(f"/api/v1/sign-in/providers/{world.id}/people")).json()["items"]
    assert [(one["user"], one["subject"]) for one in people] == [("grace@example.org", "u-1")]


async def test_who_is_a_user_already_is_linked_only_where_that_is_allowed(world: World, provider: Provider) -> None:
    provider.person |= {"sub": "u-9", "email": "Ada@Example.org"}
    assert await world.come() == "/sign-in?refused=taken"
    await world.set_up(link_users=True, passwords=False)
    provider.person["email_verified"] = False
    assert await world.come() == "/sign-in?refused=email"
    provider.person["email_verified"] = True
    assert await world.come() == "/storage"
    assert (await world.whoami())["name"] == "ada@example.org"
    assert (await world.trail("identity.create"))[0]["detail"]["subject"] == "u-9"
    provider.person |= {"sub": "u-10", "email": "eve@example.net"}
    await world.set_up(link_users=True, create_users=False)
    assert await world.come() == "/sign-in?refused=unknown"


async def test_passwords_go_and_the_last_administrator_keeps_theirs(world: World, provider: Provider) -> None:
    async with world.scene.client() as client:
        ada = {"email": "ada@example.org", "password": "correct horse battery"}
        bob = {"email": "bob@example.org", "password": "a long pass phrase"}
        await world.api.post("/api/v1/users", json=bob | {"role": "admin"})
        provider.person |= {"email": ada["email"]}
        await world.set_up(link_users=True, passwords=False)
        await world.come()
        refused = await client.post("/api/v1/session", json=ada)
        assert (refused.status_code, "sign in with Works" in refused.json()["detail"]) == (403, True)
        assert (await client.post("/api/v1/session", json=bob)).status_code == 201
        provider.person |= {"sub": "u-2", "email": bob["email"]}
        await world.come()  # now both come by it: either may still come by password, for nobody else could
        assert (await client.post("/api/v1/session", json=ada)).status_code == 201
        provider.person |= {"sub": "u-3", "email": "carol@example.org"}
        await world.set_up(roles=[{"group": "staff", "role": "admin"}])
        await world.come()
        users = {one["email"]: one["id"] for one in (await world.api.get("/api/v1/users")).json()["items"]}
        assert (await world.api.post(f"/api/v1/users/{users['bob@example.org']}/disable")).status_code == 200
        last = await world.api.post(f"/api/v1/users/{users['ada@example.org']}/disable")
        assert (last.status_code, "last administrator with a password" in last.json()["detail"]) == (409, True)
        none = {"email": "carol@example.org", "password": "!"}
        assert (await client.post("/api/v1/session", json=none)).status_code == 401
    provider.person |= {"sub": "u-1", "groups": []}  # ada's groups are gone; she stays what keeps the doors open
    await world.set_up(roles=[{"group": "staff", "role": "admin"}], otherwise="viewer")
    await world.come()
    assert (await world.whoami())["role"] == "admin"


async def test_the_answer_has_to_be_to_this_browsers_own_question(world: World, provider: Provider) -> None:
    address = await world.go()
    parts = urlsplit(address)
    said = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert await world.back(f"{parts.path}?{httpx.QueryParams(said | {'state': 'x'})}") == "/sign-in?refused=stale"
    assert "'state'" in await world.reason()
    before = len(provider.asked)
    assert await world.back(address) == "/sign-in?refused=stale"  # the ticket is used up
    async with world.new_browser() as stranger:
        assert (await stranger.get(address)).headers["location"] == "/sign-in?refused=stale"
        stranger.cookies.set("dash_ticket", "gAAAAA")
        assert (await stranger.get(address)).headers["location"] == "/sign-in?refused=stale"
    assert len(provider.asked) == before  # nothing of it was brought to the provider
    address = await world.go()
    kept = dict(world.browser.cookies)
    assert await world.back(address) == "/storage"
    async with world.new_browser() as thief:  # who has read both the address and the cookie
        thief.cookies.update(kept)
        assert (await thief.get(address)).headers["location"] == "/sign-in?refused=stale"
    assert "brought before" in await world.reason()
    address = await world.go()
    world.provider.codes.clear()
    assert await world.back(address) == "/sign-in?refused=untrusted"
    assert "did not take the code: invalid_grant" in await world.reason()
    denied = httpx.URL(await world.go()).copy_remove_param("code").copy_add_param("error", "access_denied")
    assert await world.back(str(denied)) == "/sign-in?refused=denied"


async def test_two_providers_are_not_mixed_up(world: World, provider: Provider) -> None:
    with Provider() as other:
        document = {"name": "Other", "issuer": other.issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        made = (await world.api.post("/api/v1/sign-in/providers", json=document | {"create_users": True})).json()
        address = await world.go()
        assert await world.back(address.replace(world.id, made["id"])) == "/sign-in?refused=stale"
        assert "another provider" in await world.reason()
        foreign = httpx.URL(await world.go()).copy_set_param("iss", other.issuer)
        assert await world.back(str(foreign)) == "/sign-in?refused=untrusted"
        missing = httpx.URL(await world.go()).copy_remove_param("iss")
        assert await world.back(str(missing)) == "/sign-in?refused=untrusted"
        assert other.asked == []  # no code of the one was brought to the other
        other.client.redirect_uris = [made["callback_url"]]
        world.id = made["id"]
        provider.person["sub"] = other.person["sub"] = "u-1"
        await world.come()
        assert (await world.whoami())["name"] == "grace@example.org"
        people = (await world.api.get(f"/api/v1/sign-in/providers/{made['id']}/people")).json()["items"]
        assert len(people) == 1


async def test_whoever_tries_often_waits_and_no_address_leads_elsewhere(world: World) -> None:
    for wanted in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "evil",
        "/" + "x" * 2000,
    ):
        assert await world.come(wanted) == "/", wanted
    services = world.scene.it.services
    for _ in range(50):
        services.provider_sign_in._limit.failed(None, "127.0.0.1")
    there = await world.browser.get(f"/sign-in/with/{world.id}")
    assert there.headers["location"] == "/sign-in?refused=often"
    assert (await world.browser.get("/sign-in/callback/idp_none?state=x")).headers[
        "location"
    ] == "/sign-in?refused=often"


async def test_the_licence_locks_setting_up_and_nothing_else(world: World, provider: Provider) -> None:
    providers = "/api/v1/sign-in/providers"
    few = Limits(organisations=None, users=1, pipelines=None, events_per_day=None, nodes=None)
    document = issued(features=(Feature.ENTERPRISE_SIGN_IN.value,), limits=few)
    await world.scene.it.services.licenses.install(world.scene.admin, document)
    for number in range(4):  # Community's five are there in any case
        new = {"email": f"u{number}@example.org", "password": "a long pass phrase", "role": "viewer"}
        assert (await world.api.post("/api/v1/users", json=new)).status_code == 201
    assert await world.come() == "/sign-in?refused=full"
    assert "allows 5 users" in await world.reason()
    await world.scene.it.services.licenses.install(world.scene.admin, issued(features=()))
    document = {"name": "More", "issuer": provider.issuer, "enabled": False}
    for refused in (
        await world.api.post(providers, json=document),
        await world.api.put(f"{providers}/{world.id}", json=document),
    ):
        assert (refused.status_code, refused.json()["code"]) == (403, "E_UNLICENSED")
        assert "install a licence that names enterprise_sign_in" in refused.json()["detail"]
    assert "has no enterprise sign in: what was set stays" in (await world.api.get(providers)).json()["locked"]
    assert await world.come() == "/storage"
    assert (await world.api.post(f"{providers}/{world.id}/disable")).json()["enabled"] is False
    assert (await world.browser.get(f"/sign-in/with/{world.id}")).headers["location"] == "/sign-in?refused=gone"
    assert (await world.api.delete(f"{providers}/{world.id}")).status_code == 204
    assert (await world.api.get(providers)).json()["items"] == []


async def test_a_secret_is_never_shown_nor_sent_to_another_issuer(world: World, provider: Provider) -> None:
    providers = "/api/v1/sign-in/providers"
    shown = (await world.api.get(f"{providers}/{world.id}")).json()
    assert shown["client_secret"] == "********"
    assert shown["callback_url"] == f"{ORIGIN}/sign-in/callback/{world.id}"
    fields = {name: value for name, value in shown.items() if name not in VIEWED}
    assert (await world.api.put(f"{providers}/{world.id}", json=fields | {"name": "Renamed"})).status_code == 200
    assert await world.come() == "/storage"  # the secret is what it was
    moved = await world.api.put(f"{providers}/{world.id}", json=fields | {"issuer": "https://evil.example"})
    assert [one["pointer"] for one in moved.json()["problems"]] == ["/client_secret"]
    wrong = {"name": " x", "issuer": "http://login.example.org/", "scopes": ["a b"], "domains": ["a@b"], "roles": [{}]}
    told = (await world.api.post(providers, json=wrong)).json()["problems"]
    assert {one["pointer"] for one in told} == {"/roles/0/group", "/roles/0/role"}
    told = (await world.api.post(providers, json=wrong | {"roles": []})).json()["problems"]
    expected = {"/name", "/issuer", "/client_id", "/scopes/0", "/domains/0"}
    assert {one["pointer"] for one in told} == expected
    trail = json.dumps((await world.api.get("/api/v1/audit?limit=200")).json())
    assert CLIENT_SECRET not in trail
    found = (await world.api.post(f"{providers}/{world.id}/test")).json()
    assert (found["fine"], {one["about"]: one["state"] for one in found["findings"]}) == (
        True,
        dict.fromkeys(("discovery", "keys", "signatures", "PKCE", "sign-out", "client"), "fine"),
    )
    await world.api.put(f"{providers}/{world.id}", json=fields | {"client_secret": "wrong"})
    found = (await world.api.post(f"{providers}/{world.id}/test")).json()
    assert [one["about"] for one in found["findings"] if one["state"] == "bad"] == ["client"]


VIEWED = ("id", "callback_url", "people", "created_at", "updated_at")


async def test_signing_out_leads_to_the_provider_where_that_is_wanted(world: World, provider: Provider) -> None:
    from appliance.services.provider_sign_in import Visitor

    leave, here = world.scene.it.services.provider_sign_in.farewell, Visitor(origin=ORIGIN, remote=None)
    await world.come()
    cookie = world.browser.cookies["dash_session"]
    assert await leave(cookie, here) is None
    assert await world.whoami() == {}
    await world.set_up(sign_out=True)
    await world.come()
    there = httpx.URL(await leave(world.browser.cookies["dash_session"], here))
    assert (there.path, there.params["post_logout_redirect_uri"]) == ("/out", f"{ORIGIN}/sign-in")
    assert there.params["id_token_hint"].count(".") == 2
    identity = (await world.api.get(f"/api/v1/sign-in/providers/{world.id}/people")).json()["items"][0]["id"]
    await world.come()
    assert await world.whoami()
    await world.api.delete(f"/api/v1/sign-in/providers/{world.id}/people/{identity}")
    assert await world.whoami() == {}  # what began by it has ended
