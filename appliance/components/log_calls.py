"""What one node asks of another's log: each call knows how it is done, and what comes back is msgpack.

Numbers are outward ones. Whatever JSON values of any size may stand in (checkpoints) travels as JSON.
"""

from datetime import datetime
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta

from appliance import errors
from appliance.components.bronze import BronzeLog, Correction, Expired, Quarantine, SegmentInfo
from appliance.domain.event import Frame, StoredEvent
from appliance.domain.ids import PipelineId
from appliance.errors import DashError, Problem

BRONZE_PATH: Final = "/internal/v1/bronze"
PING_PATH: Final = "/internal/v1/ping"
MOST_EVENTS: Final = 200_000  # of one answer
MOST_BYTES: Final = 16 << 20  # of its lines; one event may be larger
Count = Annotated[int, Meta(ge=1)]


class Verbatim(msgspec.Struct, frozen=True):
    """A stored event: all of it but the payload as JSON, and the payload as it is."""

    event: bytes
    payload: bytes

    @classmethod
    def of(cls, event: StoredEvent) -> "Verbatim":
        return cls(msgspec.json.encode(msgspec.structs.replace(event, payload=b"")), event.payload)

    def stored(self) -> StoredEvent:
        event = msgspec.json.decode(self.event, type=StoredEvent)
        return msgspec.structs.replace(event, payload=self.payload)


class _Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    changes: ClassVar[bool] = False

    pipeline_id: PipelineId


class LastSeq(_Call, frozen=True, tag="last_seq"):
    def done(self, log: BronzeLog) -> int:
        return log.last_seq(self.pipeline_id)


class Checkpoint(_Call, frozen=True, tag="checkpoint"):
    def done(self, log: BronzeLog) -> bytes:
        return msgspec.json.encode(log.checkpoint(self.pipeline_id))


class Read(_Call, frozen=True, tag="read"):
    """Answers less than was asked for where that is more than one answer may have."""

    after_seq: int
    max_events: Count
    max_bytes: Count

    def done(self, log: BronzeLog) -> list[Frame]:
        most = min(self.max_events, MOST_EVENTS), min(self.max_bytes, MOST_BYTES)
        return log.read(self.pipeline_id, self.after_seq, *most)


class Event(_Call, frozen=True, tag="event"):
    seq: int

    def done(self, log: BronzeLog) -> Verbatim:
        return Verbatim.of(log.event(self.pipeline_id, self.seq))


class Segments(_Call, frozen=True, tag="segments"):
    def done(self, log: BronzeLog) -> list[SegmentInfo]:
        return log.segments(self.pipeline_id)


class FirstSeq(_Call, frozen=True, tag="first_seq"):
    def done(self, log: BronzeLog) -> int:
        return log.upkeep.first_seq(self.pipeline_id)


class SeqAt(_Call, frozen=True, tag="seq_at"):
    moment: Annotated[datetime, Meta(tz=True)]

    def done(self, log: BronzeLog) -> int:
        return log.upkeep.seq_at(self.pipeline_id, self.moment)


class Expire(_Call, frozen=True, tag="expire"):
    changes: ClassVar[bool] = True

    before: Annotated[datetime, Meta(tz=True)] | None
    keep_bytes: int | None
    up_to: int

    def done(self, log: BronzeLog) -> Expired:
        return log.upkeep.expire(self.pipeline_id, before=self.before, keep_bytes=self.keep_bytes, up_to=self.up_to)


class Erase(_Call, frozen=True, tag="erase"):
    changes: ClassVar[bool] = True

    seqs: list[int]
    reason: str
    by: str

    def done(self, log: BronzeLog) -> int:
        return log.upkeep.erase(self.pipeline_id, self.seqs, self.reason, self.by)


class Correct(_Call, frozen=True, tag="correct"):
    changes: ClassVar[bool] = True

    corrections: list[Correction]

    def done(self, log: BronzeLog) -> None:
        log.upkeep.correct(self.pipeline_id, self.corrections)


class FindCorrection(_Call, frozen=True, tag="correction"):
    seq: int

    def done(self, log: BronzeLog) -> list[Correction]:
        found = log.upkeep.correction(self.pipeline_id, self.seq)
        return [] if found is None else [found]


class Corrected(_Call, frozen=True, tag="corrected"):
    first_seq: int
    last_seq: int

    def done(self, log: BronzeLog) -> list[int]:
        return log.upkeep.corrected(self.pipeline_id, self.first_seq, self.last_seq)


class Quarantined(_Call, frozen=True, tag="quarantined"):
    def done(self, log: BronzeLog) -> list[Quarantine]:
        return log.upkeep.quarantined(self.pipeline_id)


class Size(_Call, frozen=True, tag="size"):
    def done(self, log: BronzeLog) -> int:
        return log.upkeep.size(self.pipeline_id)


Call = (
    LastSeq | Checkpoint | Read | Event | Segments | FirstSeq | SeqAt | Expire | Erase | Correct | FindCorrection
    | Corrected | Quarantined | Size
)  # fmt: skip


class Pong(msgspec.Struct, frozen=True):
    """Who answers a ping."""

    node_id: str
    version: str


class Refused(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error of the error tree on its way to another node: its class, and what it carries."""

    kind: str
    message: str
    retry_after_secs: float | None = None
    hint: str | None = None
    problems: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, error: DashError) -> "Refused":
        given = {name: getattr(error, name, None) for name in ("retry_after_secs", "hint")}
        return cls(type(error).__name__, str(error), problems=tuple(getattr(error, "problems", ())), **given)

    def error(self, node: str) -> DashError:
        """Return it as it was raised. What the node itself is to blame for names it; so does what is not known here."""
        kind = getattr(errors, self.kind, None)
        if not (isinstance(kind, type) and issubclass(kind, DashError)):
            return errors.TransientError(f"{node}: {self.message}")
        if issubclass(kind, errors.ConfigError | errors.Invalid):
            return kind(self.problems)
        if issubclass(kind, errors.RateLimited):
            return kind(self.message, self.retry_after_secs or 1.0)
        if issubclass(kind, errors.TransientError):
            return kind(f"{node}: {self.message}", self.retry_after_secs or 1.0)
        if issubclass(kind, errors.FatalError):
            return errors.FatalError(f"{node}: {self.message}", self.hint or "")
        if issubclass(kind, errors.RequestError):
            return kind(self.message)
        return errors.TransientError(f"{node}: {self.message}")
