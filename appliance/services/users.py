"""The people of an organisation."""

from __future__ import annotations

from appliance.domain.access import Principal, Role
from appliance.domain.ids import UserId
from appliance.services.views import NewUser, Page, UserView


class Users:
    """The people of an organisation."""

    async def create(self, who: Principal, new: NewUser) -> UserView:
        """Add a user. Raises Conflict (the address is taken), Invalid."""
        raise NotImplementedError

    async def set_role(self, who: Principal, user_id: UserId, role: Role) -> UserView:
        """Give the user another role. Raises NotFound, Conflict (the last administrator stays one)."""
        raise NotImplementedError

    async def disable(self, who: Principal, user_id: UserId) -> UserView:
        """Shut the user out at once; their sessions end. Raises NotFound, Conflict (the last administrator)."""
        raise NotImplementedError

    async def list(self, who: Principal, cursor: str | None = None, limit: int = 50) -> Page[UserView]:
        """Return the users, oldest first."""
        raise NotImplementedError
