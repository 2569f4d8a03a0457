"""Elsewhere: what the nodes that keep events say of their pipelines, as a node sees it that keeps none."""

from collections.abc import Sequence

from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Ledger, Outcome
from appliance.domain.node import Doing, Node, NodeState
from appliance.domain.pipeline import State
from appliance.domain.stats import LiveStats

NOBODY = "no ingestor runs: nothing is received or refined until one is started"
UNTAKEN = "no ingestor runs this pipeline: the log of each says why"


class Elsewhere:
    """Belongs to the event loop. ``said``: every node that keeps events, with what it told of its pipelines last."""

    def __init__(self) -> None:
        self.said: Sequence[tuple[Node, dict[PipelineId, Doing]]] = ()

    @property
    def living(self) -> list[Node]:
        """Return the nodes that keep events and are up."""
        return [node for node, _ in self.said if node.state is not NodeState.GONE]

    def told(self) -> str:
        """Return where what needs events can be done, in words."""
        if not self.living:
            return NOBODY
        return " or ".join(f"{node.card.name} at {node.card.address}" for node in self.living)

    def away(self) -> str | None:
        """Return which of the nodes that keep events are gone, in words; None: all are there."""
        gone = [node.card.name for node, _ in self.said if node.state is NodeState.GONE]
        if not self.living:
            return NOBODY
        if not gone:
            return None
        return f"{', '.join(gone)} {'is' if len(gone) == 1 else 'are'} away: what it received before waits there"

    def failed(self, pipeline_id: PipelineId) -> bool:
        """Return whether it has failed on a node that is up."""
        return any(one.state is State.FAILED for one in self._living(pipeline_id))

    def stats(self, pipeline_id: PipelineId, *, new: bool = False) -> LiveStats:
        """Return the numbers of all nodes as one, without what they have received: ``Shares`` knows that sooner.

        ``new``: that nobody has taken it over is no trouble yet.
        """
        told = [pipelines[pipeline_id].stats for _, pipelines in self.said if pipeline_id in pipelines]
        living = [one.stats for one in self._living(pipeline_id)]
        return LiveStats(
            rate_per_sec=round(sum(one.rate_per_sec for one in living), 2),
            lag_events=0,
            lag_secs=max((one.lag_secs for one in living), default=0.0),
            last_received_at=max((one.last_received_at for one in told if one.last_received_at), default=None),
            last_error=self._error(living, new),
            ledger=Ledger.of(0, 0, Outcome()),
        )

    def _living(self, pipeline_id: PipelineId) -> list[Doing]:
        up = [pipelines for node, pipelines in self.said if node.state is not NodeState.GONE]
        return [pipelines[pipeline_id] for pipelines in up if pipeline_id in pipelines]

    def _error(self, living: Sequence[LiveStats], new: bool) -> str | None:
        if not self.living:
            return NOBODY
        if not living:
            return None if new else UNTAKEN
        return next((one.last_error for one in living if one.last_error), None)
