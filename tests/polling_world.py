"""Nodes that take turns at polling one source of numbered items, each step of them by itself.

Logs and rows outlive a node's death, the rest of it does not. The tenures are the real ones; the book and the logs are
in memory. Nothing of it knows of time: what holds, holds however late anybody is.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from appliance.components.nodes import Lease
from appliance.components.polls import PollBook, Polled
from appliance.components.source import Page
from appliance.domain.event import Delivery, Envelope, Frame
from appliance.domain.ids import PipelineId
from appliance.domain.partition import Partition, base_of, local_of
from appliance.engine.tenure import Right, Tenure
from appliance.engine.turns import Turn
from appliance.errors import Conflict, TransientError
from appliance.storage.bronze_cluster import PartitionLog
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.polls import MemoryPolls

PIPE = PipelineId("pl_news")
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
PAGE = 3  # items


class Pause:
    """Where somebody else may come between."""

    def __await__(self) -> Iterator[None]:
        yield


class Threads:
    async def run(self, _kind: str, work: Callable[..., Any], *args: object) -> Any:
        await Pause()
        return work(*args)


class Shaky:
    """A book whose next answer gets lost, before it is done or after. Everything else is the book's."""

    def __init__(self, book: PollBook) -> None:
        self._book = book
        self.trouble: str | None = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def asked(*args: object) -> Any:
            trouble, self.trouble = self.trouble, None
            if trouble == "before":
                raise TransientError("not done")
            answer = getattr(self._book, name)(*args)
            if trouble == "after":
                raise TransientError("done, and nobody was told")
            return answer

        return asked


class Node:
    """One node: its log and rows outlive it; the rest is gone when it dies."""

    def __init__(self, world: "World", number: int) -> None:
        self.world, self.partition = world, Partition(number)
        self.log = PartitionLog(MemoryBronzeLog(), number)
        self.refined = base_of(self.partition)  # in the row store, as are the next two
        self.rows: list[int] = []
        self.filtered = 0
        self.born()

    def born(self) -> None:
        self.lease: Lease | None = None
        self.book = Shaky(self.world.polls.of(self.partition))
        self.tenure = Tenure(PIPE, self.log, self.book, lambda: self.lease)
        self.turn = Turn(self.tenure, Threads())  # type: ignore[arg-type]
        self.progress = self.refined
        self.read: tuple[Right, list[Frame]] | None = None
        self.polling: Coroutine[Any, Any, None] | None = None

    def dies(self) -> None:
        self.stops()
        self.born()

    def stops(self) -> None:
        """What was being appended may be on the disk or not."""
        if self.polling is not None:
            self.polling.close()
            self.polling = None

    def polls_on(self) -> bool:
        """Do one step of polling; return whether this was the last."""
        self.polling = self.polling or self._poll()
        try:
            self.polling.send(None)
        except (StopIteration, TransientError):
            self.polling = None
        return self.polling is None

    def polls(self) -> None:
        """Poll to the end of it, from the beginning if nothing is under way."""
        while not self.polls_on():
            pass

    async def _poll(self) -> None:
        await self.turn.begin(self._keep)
        before = self.log.checkpoint(PIPE) or {"at": 0}
        at, end = before["at"], min(before["at"] + PAGE, self.world.items)
        await Pause()
        if at < end:
            await self._keep(Page([b"%d" % one for one in range(at, end)], {"at": end}, f"{at}-{end}"))
        elif "ended" not in before:  # a page without items
            await self._keep(Page((), {"at": at, "ended": True}, f"{at}-ended"))

    def _keep(self, page: Page) -> Awaitable[None]:
        return self._append(self.turn.named(page))

    async def _append(self, page: Page) -> None:
        await Pause()
        envelope = Envelope(
            received_at=NOON, source="http_poll", checkpoint=page.checkpoint, delivery_id=page.delivery_id
        )  # fmt: skip
        await self.log.append(PIPE, Delivery(envelope, page.payloads))
        await Pause()

    def reads(self, most: int) -> None:
        """As ``Refiner`` does; what it read before is forgotten."""
        self.read = None
        with suppress(TransientError):
            right = self.tenure.right(self.progress)
            self.read = right, self.log.read(PIPE, self.progress, right.most(self.progress, most), 1 << 20)

    def commits(self, answered: bool) -> None:
        if self.read is None or not self.read[1]:
            return
        (right, frames), self.read = self.read, None
        last = frames[-1].last_seq
        polled = self.tenure.polled(right, last)
        try:
            self.world.store(self, frames, self.progress, polled)
        except Conflict:
            self.tenure.doubt()
            self.progress = self.refined
            return
        if answered:
            self.progress = last
            if polled is not None:
                self.tenure.stored(polled)

    def notes(self) -> None:
        if self.progress == self.log.last_seq(PIPE):
            with suppress(TransientError):
                self.tenure.note(self.progress)


class World:
    def __init__(self, polls: type[MemoryPolls] = MemoryPolls) -> None:
        self.items, self.epoch = 0, 0
        self.polls = polls(lambda lease: lease.epoch == self.epoch, lambda number: self.nodes[number].refined)
        self.nodes: list[Node] = []
        self.nodes += [Node(self, number) for number in range(3)]

    def leases(self, node: Node) -> None:
        """From now on nobody else holds it, though he may not know."""
        self.epoch += 1
        node.lease = Lease("poll:pl_news", self.epoch)

    def store(self, node: Node, frames: list[Frame], after: int, polled: Polled | None) -> None:
        """One transaction."""
        if after != node.refined:
            raise Conflict("somebody else wrote")
        if polled is not None:
            self.polls.advance(node.partition, polled)
        taken = items_in(frames)
        node.rows += taken
        node.filtered += sum(frame.count for frame in frames) - len(taken)
        node.refined = frames[-1].last_seq

    def check(self) -> None:
        stored = Counter(one for node in self.nodes for one in node.rows)
        assert [one for one, times in stored.items() if times > 1] == []
        for node in self.nodes:
            assert len(node.rows) + node.filtered == local_of(node.refined)

    def settle(self, heir: Node) -> None:
        """Let everybody come back, one poll to the end, and all refine."""
        for node in self.nodes:
            node.dies()
        self.leases(heir)
        for _ in range(self.items // PAGE + 6):
            heir.polls()
            for node in self.nodes:
                node.reads(1000)
                node.commits(answered=True)
                node.notes()
        self.check()
        assert sorted(one for node in self.nodes for one in node.rows) == list(range(self.items))
        for node in self.nodes:
            assert node.refined == node.log.last_seq(PIPE)
            assert items_in(node.log.read(PIPE, base_of(node.partition), 1000, 1 << 20)) == node.rows  # as a replay
        assert self.polls.line is not None
        assert self.polls.line[0] == heir.partition
        assert json.loads(self.polls.line[2] or "") == heir.log.checkpoint(PIPE) == {"at": self.items, "ended": True}


def items_in(frames: list[Frame]) -> list[int]:
    return [
        int(line)
        for frame in frames
        for seq, line in enumerate(frame.lines.split(b"\n"), frame.first_seq)
        if seq not in frame.withdrawn
    ]
