"""The first run: the organisation, its administrator and, if wanted, the sample workspace."""

from __future__ import annotations

from appliance.services.views import SetupAnswer, SetupRequest


class Setup:
    """The first run: the organisation, its administrator and, if wanted, the sample workspace."""

    async def needed(self) -> bool:
        """Return whether nobody has set this appliance up yet."""
        raise NotImplementedError

    async def run(self, request: SetupRequest) -> SetupAnswer:
        """Create organisation and administrator and sign the latter in. Raises Conflict the second time, Invalid."""
        raise NotImplementedError
