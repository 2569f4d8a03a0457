"""An appliance in this process, a real OpenID provider that is set up in it, and a browser that goes between them."""

from typing import Any

import httpx
from fastapi import FastAPI

from tests.fakes.openid_provider import CLIENT_ID, CLIENT_SECRET, Provider
from ui.provider_doors import add_provider_doors

ORIGIN = "http://dash.test"


class World:
    """An appliance, its doors, a provider that is set up in it, and a browser."""

    def __init__(self, scene: Any, provider: Provider, api: httpx.AsyncClient) -> None:
        self.scene, self.provider, self.api = scene, provider, api
        self.shell = FastAPI()
        add_provider_doors(self.shell, scene.it.services)
        self.id = ""
        self.browser = self.new_browser()

    def new_browser(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.shell), base_url=ORIGIN)

    async def set_up(self, **changes: Any) -> None:
        """Set the provider up, or change it."""
        document = {
            "name": "Works", "issuer": self.provider.issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
            "create_users": True, **changes,
        }  # fmt: skip
        if self.id:
            (await self.api.put(f"/api/v1/sign-in/providers/{self.id}", json=document)).raise_for_status()
            return
        made = (await self.api.post("/api/v1/sign-in/providers", json=document)).raise_for_status().json()
        self.id = made["id"]
        self.provider.client.redirect_uris = [made["callback_url"]]

    async def go(self, wanted: str = "/storage") -> str:
        """Begin, press the provider's button, and return the address that it sends the browser back to."""
        there = await self.browser.get(f"/sign-in/with/{self.id}", params={"next": wanted})
        assert there.status_code == 303, there.text
        async with httpx.AsyncClient() as elsewhere:
            return str((await elsewhere.get(there.headers["location"])).headers["location"])

    async def come(self, wanted: str = "/storage") -> str:
        """Go the whole way and return where it leads."""
        return await self.back(await self.go(wanted))

    async def back(self, address: str) -> str:
        return str((await self.browser.get(address)).headers["location"])

    async def whoami(self) -> dict[str, Any]:
        cookie = self.browser.cookies.get("dash_session")
        async with self.scene.client(cookies={"dash_session": cookie} if cookie else None) as client:
            return (await client.get("/api/v1/session")).json().get("principal", {})

    async def trail(self, action: str) -> list[dict[str, Any]]:
        items = (await self.api.get("/api/v1/audit?limit=200")).json()["items"]
        return [one for one in items if one["action"] == action]

    async def reason(self) -> str:
        """Return why nobody came in the last time."""
        return str((await self.trail("session.refuse"))[0]["detail"]["reason"])
