"""Signing in and out: passwords and the cookie that stands for them."""

from __future__ import annotations

from appliance.domain.access import Principal
from appliance.services.views import SignedIn


class Sessions:
    """Signing in and out: passwords and the cookie that stands for them."""

    async def sign_in(self, email: str, password: str, remote: str | None) -> SignedIn:
        """Check the password and open a session. Raises Unauthenticated, RateLimited (account + remote)."""
        raise NotImplementedError

    async def resolve(self, cookie: str) -> Principal | None:
        """Return who the cookie stands for, and keep the session alive; None: unknown, expired, revoked, disabled."""
        raise NotImplementedError

    async def sign_out(self, cookie: str) -> None:
        """End the session; unknown: nothing happens."""
        raise NotImplementedError

    async def change_password(self, who: Principal, old: str, new: str) -> None:
        """Replace the password and end all sessions of the user. Raises Unauthenticated (old is wrong), Invalid."""
        raise NotImplementedError
