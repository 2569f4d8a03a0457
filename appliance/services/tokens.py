"""API tokens: made, shown once, recognised by their hash, revoked."""

from __future__ import annotations

from datetime import datetime

from appliance.domain.access import Principal, Role
from appliance.domain.ids import TokenId
from appliance.services.views import CreatedToken, Page, TokenInfo


class Tokens:
    """API tokens: made, shown once, recognised by their hash, revoked."""

    async def create(self, who: Principal, name: str, role: Role, expires_at: datetime | None = None) -> CreatedToken:
        """Make a token; its clear text is in the answer and nowhere else. Raises Invalid."""
        raise NotImplementedError

    async def revoke(self, who: Principal, token_id: TokenId) -> None:
        """Make the token worthless at once; a second time: nothing happens. Raises NotFound."""
        raise NotImplementedError

    async def resolve(self, bearer: str) -> Principal | None:
        """Return who the token stands for; None: malformed, unknown, expired or revoked."""
        raise NotImplementedError

    async def list(self, who: Principal, cursor: str | None = None, limit: int = 50) -> Page[TokenInfo]:
        """Return the organisation's tokens, oldest first, revoked ones too."""
        raise NotImplementedError
