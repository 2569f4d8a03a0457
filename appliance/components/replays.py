"""The contract of the book of replays: where they are remembered, beside the pipelines whose version they change."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from appliance.domain.ids import PipelineId
from appliance.domain.pipeline import Pipeline
from appliance.domain.replay import Replay, Told, Wish


class ReplayBook(Protocol):
    """What the engine writes down of replays and asks of pipelines. Any method may raise TransientError, FatalError."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Hold back every other change of a pipeline while the context is open."""
        ...

    async def save(self, replay: Replay) -> None:
        """Remember the replay as it is now, durably.

        Raises:
            NotFound: its pipeline has gone.
            Conflict: that does not follow from what is remembered; another node has carried it on.
        """
        ...

    async def finish(self, replay: Replay, version: int | None, action: str) -> None:
        """``save``, and make ``version`` the pipeline's own (None: it stays), in one transaction; audit ``action``.

        Raises:
            NotFound: the pipeline has gone.
            Conflict: another pipeline has the name that this version gives it.
        """
        ...

    async def check_version(self, pipeline_id: PipelineId, version: int) -> None:
        """Return if ``finish`` could make ``version`` the pipeline's own. Raises NotFound, Conflict as ``finish``."""
        ...

    async def pipeline(self, pipeline_id: PipelineId, version: int | None = None) -> Pipeline:
        """Return the pipeline with the document of ``version`` (None: its own), in its state of now.

        Raises:
            NotFound: there is no such pipeline or version.
        """
        ...

    async def ask(self, replay: Replay, wish: Wish | None) -> None:
        """Remember what somebody wishes of it, for whoever carries it out; None: it was heard. Raises NotFound."""
        ...

    async def tell(self, replay: Replay, told: Told) -> None:
        """Remember what is to be shown of it. Raises NotFound."""
        ...

    async def replay(self, replay: Replay) -> Replay:
        """Return it as it is remembered now. Raises NotFound."""
        ...

    async def unfinished(self) -> list[Replay]:
        """Return the replays that have not come to an end, oldest first."""
        ...

    async def swapped(self) -> list[Replay]:
        """Return those whose former rows are kept, oldest first."""
        ...
