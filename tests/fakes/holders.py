"""Who holds which partition, said by a test."""

from appliance.components.bronze import BronzeLog
from appliance.components.partitions import Holder, Holders
from appliance.domain.ids import NodeId, PipelineId


class FakeHolders:
    def __init__(self, *holders: Holder) -> None:
        self.holders = {one.partition: one for one in holders}
        self.received: dict[PipelineId, list[int]] = {}
        self.ever = len(holders)

    def holder(self, partition: int) -> Holder | None:
        return self.holders.get(partition)

    def holding(self, pipeline_id: PipelineId) -> list[int]:
        return self.received.get(pipeline_id, [])

    def given(self) -> int:
        return self.ever

    def held(self) -> list[int]:
        return sorted(self.holders)


def holder(partition: int, address: str = "http://127.0.0.1:1") -> Holder:
    return Holder(NodeId(f"nd_{partition}"), f"node-{partition}", address, partition)


def nobody(holder: Holder) -> BronzeLog:
    """Stand for dialling where there is no other node."""
    raise AssertionError(f"{holder} is asked")


_: type[Holders] = FakeHolders
