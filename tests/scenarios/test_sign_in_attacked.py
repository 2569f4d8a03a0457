"""A provider, or somebody between, that lies, fails or is slow: nobody comes in, and it is told why."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from appliance.errors import TransientError
from appliance.openid.client import MOST_AT_ONCE, OpenId
from tests.fakes.http_server import Answer, HttpServer
from tests.fakes.openid_provider import CLIENT_SECRET, FIRST, Provider, keys_json
from tests.provider_world import World
from tests.scenarios.conftest import until


def b64(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(claims: dict[str, Any]) -> str:
    return f"{b64({'alg': 'none', 'kid': 'first'})}.{b64(claims)}."


def by_public_key(claims: dict[str, Any]) -> str:
    """Return a token signed HS256 with the text of the provider's public key, which everybody knows."""
    signed = f"{b64({'alg': 'HS256', 'kid': 'first'})}.{b64(claims)}"
    return f"{signed}.{b64(hmac.digest(FIRST.as_pem(private=False), signed.encode(), hashlib.sha256))}"


def by_secret(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "HS256", "kid": "first"}, claims, OctKey.import_key(CLIENT_SECRET))


LIES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another issuer": lambda it: it | {"iss": "https://evil.example"},
    "another audience": lambda it: it | {"aud": "somebody-else"},
    "another audience, by our party": lambda it: it | {"aud": "somebody-else", "azp": "dash"},
    "one of several audiences, and no azp": lambda it: it | {"aud": ["dash", "other"]},
    "for another party": lambda it: it | {"azp": "other"},
    "expired": lambda it: it | {"exp": int(time.time()) - 120, "iat": int(time.time()) - 600},
    "not expiring": lambda it: {name: value for name, value in it.items() if name != "exp"},
    "of the future": lambda it: it | {"iat": int(time.time()) + 600},
    "not yet": lambda it: it | {"nbf": int(time.time()) + 600},
    "another nonce": lambda it: it | {"nonce": "x" * 43},
    "no nonce": lambda it: {name: value for name, value in it.items() if name != "nonce"},
    "no subject": lambda it: {name: value for name, value in it.items() if name != "sub"},
    "a subject that is a number": lambda it: it | {"sub": 7},
    "a subject that no database holds": lambda it: it | {"sub": "u\0"},
    "an empty subject": lambda it: it | {"sub": ""},
    "times that are words": lambda it: it | {"exp": "tomorrow"},
    "another access token's hash": lambda it: it | {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
}


async def test_no_token_that_lies_opens_a_session(world: World, provider: Provider) -> None:
    world.scene.it.services.provider_sign_in._limit = Unlimited()
    for name, lie in LIES.items():
        provider.bend = lie
        assert await world.come() == "/sign-in?refused=untrusted", name
        assert await world.reason(), name
    provider.bend = lambda claims: claims
    for forged in (
        unsigned,
        by_public_key,
        by_secret,
        lambda _: "not.a.token",
        lambda claims: f"x{provider.signed(claims)}",
    ):
        provider.sign = forged
        assert await world.come() == "/sign-in?refused=untrusted", forged
    provider.sign = lambda claims: provider.signed(claims)[:-8] + "AAAAAAAA"
    assert await world.come() == "/sign-in?refused=untrusted"
    provider.sign = lambda claims: provider.signed(claims | {"aud": ["dash", "other"], "azp": "dash"})
    assert await world.come() == "/storage"


async def test_keys_are_exchanged_and_of_other_kinds(world: World, provider: Provider) -> None:
    await world.come()
    asked = provider.asked.count("/keys")
    await world.come()
    assert provider.asked.count("/keys") == asked  # remembered
    for key, algorithm in (
        (RSAKey.generate_key(2048, {"kid": "second"}), "PS256"),
        (ECKey.generate_key("P-256", {"kid": "third"}), "ES256"),
        (OKPKey.generate_key("Ed25519", {"kid": "fourth"}), "Ed25519"),
    ):
        provider.key, provider.algorithm = key, algorithm
        assert await world.come() == "/storage", algorithm
    provider.published = [FIRST]  # what signs is not published any more
    world.scene.it.services.providers._reception.speaks()._keys.clear()
    assert await world.come() == "/sign-in?refused=untrusted"
    assert "does not publish" in await world.reason()
    provider.key, provider.algorithm = FIRST, "RS256"
    weak = keys_json(ECKey.generate_key("P-256", {"kid": "first"}))  # the name alone does not make it the key
    provider.answers["/keys"] = (weak, 200)
    world.scene.it.services.providers._reception.speaks()._keys.clear()
    assert await world.come() == "/sign-in?refused=untrusted"


class Unlimited:
    def check(self, *_: Any) -> None:
        return

    failed = check


NONSENSE = {
    "/.well-known/openid-configuration": (b"<html>", 200),
    "/keys": (b'{"keys": 7}', 200),
    "/token": (b"[" * 100_000, 200),
    "/userinfo": (b'{"sub": "somebody else"}', 200),
}


async def test_a_provider_that_fails_is_told_and_locks_nobody_out(world: World, provider: Provider) -> None:
    services = world.scene.it.services
    speaks = services.providers._reception.speaks()
    provider.person.pop("email_verified")  # so that userinfo is asked
    for path, answer in NONSENSE.items():
        speaks._metadata.clear()
        speaks._keys.clear()
        provider.answers = {path: answer}
        if path.startswith("/.well"):
            there = await world.browser.get(f"/sign-in/with/{world.id}")
            assert there.headers["location"] == "/sign-in?refused=untrusted"
        else:
            assert await world.come() == "/sign-in?refused=untrusted", path
        provider.answers = {path: (b"x" * (600 << 10), 200)}  # more than is read
        if not path.startswith("/.well"):
            assert await world.come() == "/sign-in?refused=untrusted", path
        provider.answers = {path: (b"", 503)}
        if not path.startswith("/.well"):
            assert await world.come() == "/sign-in?refused=unavailable", path
    provider.answers = {}
    for lie in (
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://evil.example/t"},
        {"jwks_uri": "file:///x"},
    ):
        speaks._metadata.clear()
        provider.metadata = lie
        there = await world.browser.get(f"/sign-in/with/{world.id}")
        assert there.headers["location"] == "/sign-in?refused=untrusted", lie
    speaks.timeout_secs = 0.2
    async with HttpServer() as silent:
        silent.routes["/.well-known/openid-configuration"] = lambda _: Answer(hold=asyncio.Event().wait())
        await world.set_up(issuer=silent.url("").rstrip("/"))
        there = await world.browser.get(f"/sign-in/with/{world.id}")
        assert there.headers["location"] == "/sign-in?refused=unavailable"
    assert "took longer than 0.2 s" in await world.reason()
    await world.scene.it.outbound.allow([])
    speaks._metadata.clear()
    there = await world.browser.get(f"/sign-in/with/{world.id}")
    assert there.headers["location"] == "/sign-in?refused=untrusted"
    assert "egress.allow" in await world.reason()
    async with world.scene.client() as client:
        mine = {"email": "ada@example.org", "password": "correct horse battery"}
        assert (await client.post("/api/v1/session", json=mine)).status_code == 201


async def test_the_provider_of_another_organisation_opens_nothing_of_this_one(world: World, provider: Provider) -> None:
    rival = {"name": "Mallory Works", "admin_email": "mallory@example.net", "admin_password": "a long pass phrase"}
    made = (await world.api.post("/api/v1/organisations", json=rival)).raise_for_status().json()
    await world.come()
    grace = await world.whoami()
    own = world.id
    async with world.scene.client() as theirs:
        mine = {"email": rival["admin_email"], "password": rival["admin_password"]}
        (await theirs.post("/api/v1/session", json=mine)).raise_for_status()
        assert (await theirs.get(f"/api/v1/sign-in/providers/{own}")).status_code == 404
        world.api, world.id, api = theirs, "", world.api
        alike = {"issuer": provider.issuer, "enabled": False}  # as the other one's button reads
        for name in ("Works", "WORKS", "\uff37orks", "Work s"):
            taken = await theirs.post("/api/v1/sign-in/providers", json=alike | {"name": name})
            assert (taken.status_code, "choose another name" in taken.json()["detail"]) == (409, True), name
        await world.set_up(name="Rivals", link_users=True)  # the same issuer, and everything allowed
    offers = await world.scene.it.services.provider_sign_in.offers()
    assert {(one.name, one.host) for one in offers} == {("Works", "127.0.0.1"), ("Rivals", "127.0.0.1")}
    assert await world.come() == "/sign-in?refused=taken"  # grace, who is known to the first organisation
    provider.person |= {"sub": "u-7", "email": "ada@example.org"}
    assert await world.come() == "/sign-in?refused=taken"
    provider.person |= {"sub": "u-1", "email": "new@example.net"}  # the subject that grace has
    assert await world.come() == "/storage"
    who = await world.whoami()
    assert (who["name"], who["organisation_id"]) == ("new@example.net", made["id"])
    assert who["organisation_id"] != grace["organisation_id"]
    gone = await api.delete(f"/api/v1/organisations/{made['id']}", params={"name": rival["name"]})
    assert gone.status_code == 204, gone.text
    assert await world.whoami() == {}
    assert (await world.browser.get(f"/sign-in/with/{world.id}")).headers["location"] == "/sign-in?refused=gone"


async def test_whoever_was_proved_to_a_provider_that_is_another_since_does_not_come_in(
    world: World, provider: Provider
) -> None:
    """It is changed or switched off while somebody's code is redeemed."""
    api, place, issuer = world.api, f"/api/v1/sign-in/providers/{world.id}", provider.issuer
    speaks: Any = await world.scene.it.services.provider_sign_in._reception.openid()
    redeem = type(speaks).redeem
    changed = {"name": "Works", "issuer": "https://login.example.net", "client_id": "dash", "create_users": True}
    for change in (lambda: api.put(place, json=changed), lambda: api.post(f"{place}/disable")):
        await world.set_up(issuer=issuer, enabled=True)
        address = await world.go()

        async def meanwhile(*asked: Any, change: Any = change) -> Any:
            proved = await redeem(speaks, *asked)
            (await change()).raise_for_status()
            return proved

        speaks.redeem = meanwhile
        assert await world.back(address) == "/sign-in?refused=gone"
        del speaks.redeem
    assert await world.whoami() == {}
    assert (await api.get(f"{place}/people")).json()["items"] == []


async def test_an_address_in_letters_that_look_the_same_is_nobodys(world: World, provider: Provider) -> None:
    new = {"email": "kim@example.org", "password": "a first pass phrase", "role": "admin"}
    (await world.api.post("/api/v1/users", json=new)).raise_for_status()
    await world.set_up(link_users=True)
    provider.person |= {"sub": "u-8", "email": "\u212aim@example.org"}  # the sign for kelvin
    assert await world.come() == "/sign-in?refused=taken"
    provider.person |= {"email": "x" * 2_000 + "@example.org"}
    assert await world.come() == "/sign-in?refused=email"
    assert len(await world.reason()) < 1000
    provider.person |= {"email": "KIM@example.org"}
    assert await world.come() == "/storage"
    assert (await world.whoami())["name"] == "kim@example.org"


async def test_a_slow_provider_does_not_take_every_connection() -> None:
    asked, ended = 0, asyncio.Event()

    class Silent:
        async def send(self, _: Any) -> Any:
            nonlocal asked
            asked += 1
            await ended.wait()
            raise TransientError("it was too slow")

    openid = OpenId(Silent())  # type: ignore[arg-type]
    issuers = [f"https://{host}.example.org" for host in ("one", "two", "three") for _ in range(40)]
    under_way = [asyncio.create_task(openid.metadata(issuer)) for issuer in issuers]
    await until(lambda: sum(one.done() for one in under_way) == len(issuers) - MOST_AT_ONCE)
    assert asked == MOST_AT_ONCE
    ended.set()
    assert {type(one) for one in await asyncio.gather(*under_way, return_exceptions=True)} == {TransientError}
    assert not openid._under_way
