"""The bus on PostgreSQL: LISTEN and NOTIFY, on two connections of its own.

Notifications are sent in transactions of their own, never in one that writes data: PostgreSQL commits transactions that
notify one after another. A payload that does not fit into a notification lies in the table ``notice`` for a minute.
"""

import asyncio
import secrets
import time
from collections import deque
from typing import Final, NamedTuple

import psycopg
import structlog
from psycopg import AsyncConnection, sql

from appliance.components.bus import Bus, Hear, Missed
from appliance.domain.database.access import Access
from appliance.domain.ids import new_id
from appliance.errors import DashError
from appliance.storage.control.connect import parameters

MOST_BYTES: Final = 7_500  # of the 7,999 that fit; the rest is for the head
QUEUE: Final = 2_000
BATCH: Final = 200
PING_SECS: Final = 5.0
DEAD_SECS: Final = 15.0  # without an echo of one's own messages
ANSWER_SECS: Final = 10.0
DEAF_SECS: Final = 60.0  # how long a bus rests on which nothing was heard, not even oneself
KEPT_SECS: Final = 60  # of a notice
PING: Final = "ping"
GAP: Final = "gap"  # the sender has lost messages
_INLINE, _BY_REFERENCE = "i", "r"

log = structlog.get_logger("bus")


class _Message(NamedTuple):
    """As it travels: a line ``origin number form topic``, then the text, or the id of the notice that has it."""

    origin: str
    number: int
    form: str
    topic: str
    body: str

    def text(self) -> str:
        return f"{self.origin} {self.number} {self.form} {self.topic}\n{self.body}"

    @classmethod
    def of(cls, text: str) -> "_Message":
        head, _, body = text.partition("\n")
        origin, number, form, topic = head.split(" ", 3)
        return cls(origin, int(number), form, topic, body)


class Deaf(TimeoutError):
    """Nothing has come back since the connection was made: what stands between carries no notifications."""


class NotifyBus:
    """``access``: of the control plane's database. A pooler by transaction carries no notifications: go past it.

    Behind one it says so once and tries again now and then; ``connected`` is True only while it hears.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._channel = f"dash {access.schema}"
        self._notice = sql.Identifier(access.schema, "notice")
        self._origin = secrets.token_hex(8)
        self._hear: Hear = lambda _topic, _payload: None
        self._missed: Missed = lambda: None
        self._queue: deque[tuple[str, bytes]] = deque()
        self._ready = asyncio.Event()
        self._number = 0
        self._sent_at: dict[int, float] = {}
        self._heard: dict[str, int] = {}  # by origin: the last number
        self._echoed_at = self._swept_at = 0.0
        self._echoes = 0  # of this connection
        self._deaf = False  # the last connection brought nothing back
        self._lost = False  # something was not sent: the others have to look
        self.connected = False
        self.sent = self.received = self.reconnects = 0  # since the start, for the metrics
        self.latency_secs: float | None = None  # from sending to hearing it: of one's own last message

    def listen(self, hear: Hear, missed: Missed) -> None:
        self._hear, self._missed = hear, missed

    def send(self, topic: str, payload: bytes = b"") -> None:
        if len(self._queue) >= QUEUE:
            self._queue.popleft()
            self._lost = True
        self._queue.append((topic, payload))
        self._ready.set()

    async def run(self) -> None:
        """Carry messages until cancelled."""
        pause, told = 0.2, False
        while True:
            try:
                await self._live()
            except Deaf:
                self._note_deaf()
                pause = DEAF_SECS
            except (psycopg.Error, DashError, OSError, TimeoutError) as error:
                if self.connected or not told:
                    log.warning("bus.broken", error=(str(error).split("\n")[0]).strip() or type(error).__name__)
                    told, pause = True, 0.2 if self.connected else pause
            self.connected, self._lost = False, True
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)
            self.reconnects += 1

    async def _live(self) -> None:
        """Listen and send until one of both breaks."""
        async with await self._open() as listening, await self._open() as sending:
            await listening.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
            self._echoed_at, self._echoes, self.connected = time.monotonic(), 0, not self._deaf
            self._heard.clear()
            if not self._deaf:
                log.info("bus.connected", reconnects=self.reconnects)
            if self.reconnects:
                self._missed()
            tasks = {asyncio.create_task(self._listen(listening, sending)), asyncio.create_task(self._send(sending))}
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception) and not isinstance(end, asyncio.CancelledError):
                raise end

    async def _open(self) -> AsyncConnection:
        async with asyncio.timeout(ANSWER_SECS):
            given = parameters(self._access) | {"application_name": "dash bus"}
            return await AsyncConnection.connect(**given, autocommit=True, prepare_threshold=None)

    async def _listen(self, listening: AsyncConnection, other: AsyncConnection) -> None:
        async for notice in listening.notifies():
            message = _Message.of(notice.payload)
            if message.origin == self._origin:
                self._echoed(message.number)
                continue
            self._check_order(message)
            if message.topic == GAP:
                self._missed()
            elif message.topic != PING:
                await self._take(message, other)

    async def _take(self, message: _Message, other: AsyncConnection) -> None:
        payload: bytes | None = message.body.encode()
        if message.form == _BY_REFERENCE:
            payload = await self._fetch(other, message.body)
        if payload is None:  # it came too late
            self._missed()
            return
        self.received += 1
        self._hear(message.topic, payload)

    async def _fetch(self, connection: AsyncConnection, notice_id: str) -> bytes | None:
        query = sql.SQL("SELECT payload FROM {} WHERE id = %s").format(self._notice)
        async with asyncio.timeout(ANSWER_SECS):
            row = await (await connection.execute(query, (notice_id,))).fetchone()
        return None if row is None else bytes(row[0])

    def _check_order(self, message: _Message) -> None:
        """See whether a message of this sender is missing between the last one and this."""
        before = self._heard.get(message.origin)
        self._heard[message.origin] = message.number
        if before is not None and message.number != before + 1:
            self._missed()

    def _note_deaf(self) -> None:
        if not self._deaf:
            log.warning(
                "bus.deaf", hint="a pooler by transaction carries no notifications: 'dash-appliance doctor' looks"
            )
        self._deaf = True

    def _echoed(self, number: int) -> None:
        self._echoed_at, self._echoes = time.monotonic(), self._echoes + 1
        if self._deaf:
            self._deaf, self.connected = False, True
            log.info("bus.connected", reconnects=self.reconnects)
        if (sent_at := self._sent_at.pop(number, None)) is not None:
            self.latency_secs = self._echoed_at - sent_at

    async def _send(self, connection: AsyncConnection) -> None:
        while True:
            await self._wait_for_something()
            if time.monotonic() - self._echoed_at > DEAD_SECS:
                told = "no message of this node has come back for too long: the connection is made anew"
                raise TimeoutError(told) if self._echoes else Deaf(told)
            some = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))] or [(PING, b"")]
            if self._lost:
                some.insert(0, (GAP, b""))
            async with asyncio.timeout(ANSWER_SECS):
                await self._send_all(connection, some)
            self._lost = False
            self.sent += len(some)

    async def _wait_for_something(self) -> None:
        if self._queue:
            return
        self._ready.clear()
        try:
            async with asyncio.timeout(PING_SECS):
                await self._ready.wait()
        except TimeoutError:
            return

    async def _send_all(self, connection: AsyncConnection, some: list[tuple[str, bytes]]) -> None:
        """Send in one transaction; the notices that messages refer to are there when they arrive."""
        messages, notices = [], []
        self._sent_at.clear()
        for topic, payload in some:
            self._number += 1
            body, form = _as_text(payload), _INLINE
            if body is None:
                body, form = new_id("ntc"), _BY_REFERENCE
                notices.append((body, payload))
            messages.append(_Message(self._origin, self._number, form, topic, body).text())
            self._sent_at[self._number] = time.monotonic()
        async with connection.transaction():
            if notices:
                await self._keep(connection, notices)
            await connection.execute(
                "SELECT pg_notify(%s, one) FROM unnest(%s::text[]) AS one", (self._channel, messages)
            )

    async def _keep(self, connection: AsyncConnection, notices: list[tuple[str, bytes]]) -> None:
        put = sql.SQL("INSERT INTO {} (id, at, payload) VALUES (%s, clock_timestamp(), %s)").format(self._notice)
        for one in notices:
            await connection.execute(put, one)
        if time.monotonic() - self._swept_at > KEPT_SECS / 2:
            self._swept_at = time.monotonic()
            old = sql.SQL("DELETE FROM {} WHERE at < clock_timestamp() - make_interval(secs => %s)")
            await connection.execute(old.format(self._notice), (KEPT_SECS,))


def _as_text(payload: bytes) -> str | None:
    """Return a payload that fits into a notification as text; None: it does not fit, or is none."""
    if len(payload) > MOST_BYTES or b"\0" in payload:
        return None
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None


_: type[Bus] = NotifyBus
