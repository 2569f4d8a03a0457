"""What is asked about dead letters, and what is answered."""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from appliance.domain.ledger import Ledger
from appliance.services.views import DeadLetter

MOST_EVENTS: Final = 10_000  # of one request; a longer list is worked through by ``next_seq``
EXAMPLES: Final = 20


class LetterChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Which dead letters: those that satisfy all that is given. Nothing given: all of the pipeline."""

    reason: str | None = None
    field: str | None = None
    message: Annotated[str, Meta(description="The whole message, exactly")] | None = None
    version: Annotated[int, Meta(description="Refined by this version", ge=0)] | None = None
    start: str | None = msgspec.field(default=None, name="from")
    end: str | None = msgspec.field(default=None, name="to")
    seqs: Annotated[list[Annotated[int, Meta(ge=1)]], Meta(max_length=MOST_EVENTS)] = []


class _Work(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    choose: LetterChoice = LetterChoice()
    dry_run: Annotated[bool, Meta(description="Say what would happen and change nothing")] = False
    after_seq: Annotated[int, Meta(description="Go on after this event: the last answer's next_seq", ge=0)] = 0
    limit: Annotated[int, Meta(description="Events of this request", ge=1, le=MOST_EVENTS)] = MOST_EVENTS


class RetryRequest(_Work, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Refine them again by the mapping of now."""


class FixRequest(_Work, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Refine something else instead of what was received: either ``payload`` (of one event), or ``patch``."""

    reason: Annotated[str, Meta(min_length=1, max_length=500, examples=["sender wrote °F as °C until 3 May"])]
    payload: Annotated[Any, Meta(description="The whole event, as it should have been")] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    patch: Annotated[dict[str, Any], Meta(description="JSON merge patch (RFC 7396) for each of them")] | None = None


class DropRequest(_Work, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Refine nothing instead of them: they count as filtered, and stay in Bronze as they were received."""

    reason: Annotated[str, Meta(min_length=1, max_length=500, examples=["test messages of the installer"])]


class LetterCause(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters of one cause. ``oldest``/``newest``: by receipt."""

    reason: str
    field: str | None
    events: int
    oldest: datetime
    newest: datetime
    first_seq: int
    last_seq: int
    example: str


class LetterWork(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the chosen events, or would become of them (``dry_run``).

    ``events`` = ``stored`` + ``filtered`` + ``dead`` + ``missing`` (expired: Bronze no longer has them). ``rows``: some
    of those won; ``dead_letters``: some of those that remain. ``next_seq``: ask again with it; None: all are done.
    """

    dry_run: bool
    events: int
    stored: int
    filtered: int
    dead: int
    missing: int
    rows: list[dict[str, Any]]
    dead_letters: list[DeadLetter]
    next_seq: int | None
    ledger: Ledger
