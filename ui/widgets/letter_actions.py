"""What can be done about dead letters: retry, fix, drop. Each is tried first, then done with its progress in view."""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace

from appliance.domain.access import Principal
from appliance.domain.ids import PipelineId
from appliance.domain.quantity import counted
from appliance.errors import Invalid, Problem
from appliance.services.letter_documents import DropRequest, FixRequest, LetterChoice, LetterWork, RetryRequest
from ui.markup import button, node, on, on_value
from ui.pages.records import readable
from ui.session import Visit
from ui.toast import go
from ui.widgets.dialog import dialog, show
from ui.widgets.figures import event_number
from ui.widgets.problem_list import problem_list

Kind = Literal["retry", "fix", "drop"]
AnyRequest = RetryRequest | FixRequest | DropRequest
STEP: Final = 2_000  # events a request, so that the progress moves
_TITLES: Final[dict[Kind, str]] = {"retry": "Retry", "fix": "Fix", "drop": "Drop"}
_LOOKS: Final[dict[Kind, str]] = {"retry": "primary small", "fix": "small", "drop": "small danger"}
_WORDS: Final[dict[Kind, str]] = {
    "retry": "They are refined again by the mapping of now and keep their place: no row appears twice.",
    "fix": "What stands here is refined instead of what was received. Bronze keeps the event as it came.",
    "drop": "They count as filtered from now on. Bronze keeps them as they came.",
}


class LetterActions:
    """Three buttons and their dialog. Ticked events are meant; with none ticked, all that the page's choice names."""

    def __init__(self, visit: Visit, pipeline_id: PipelineId, choice: LetterChoice, events: int) -> None:
        self._visit, self._pipeline_id, self._choice, self._all = visit, pipeline_id, choice, events
        self._ticked: set[int] = set()
        self._values = {"document": "", "reason": ""}
        self._kind: Kind = "retry"
        with node("div", css="row"):
            self._meant = node("span", "", "sub")
            for kind, look in _LOOKS.items():
                made = button(f"{_TITLES[kind]}{'' if kind == 'retry' else '…'}", look)
                on(made, "click", visit.act(self._opening(kind), busy=made))
        with dialog("Dead letters") as self._box:
            self._body = node("div", css="dialog-body")
            self._foot = node("div", css="dialog-foot")
        self._tell_meant()

    def choose(self, seq: int, ticked: bool) -> None:
        """Tick one event, or take the tick away."""
        (self._ticked.add if ticked else self._ticked.discard)(seq)
        self._tell_meant()

    @property
    def _events(self) -> int:
        return len(self._ticked) or self._all

    def _tell_meant(self) -> None:
        told = f"{len(self._ticked):,} chosen" if self._ticked else f"all {self._all:,}"
        setattr(self._meant, "text", told)  # noqa: B010 - markup.Text, whose type Element hides

    def _chosen(self) -> LetterChoice:
        return LetterChoice(seqs=sorted(self._ticked)) if self._ticked else self._choice

    def _opening(self, kind: Kind) -> Callable[[Principal], Awaitable[None]]:
        async def opened(who: Principal) -> None:
            self._kind = kind
            self._values = {"document": await self._document(who), "reason": ""}
            self._draw_form()
            show(self._box)
            if kind == "retry":
                await self._try(who)

        return opened

    async def _document(self, who: Principal) -> str:
        """Return what a fix begins with: the payload of the one event meant, or an empty patch for several."""
        if len(self._ticked) != 1:
            return "{}"
        event = await self._visit.services.records.event(who, self._pipeline_id, next(iter(self._ticked)))
        return readable(event.payload, most=1 << 20)

    def _draw_form(self) -> None:
        self._body.clear()
        self._foot.clear()
        with self._body:
            node("p", f"{_TITLES[self._kind]} {counted(self._events, 'event')}", "strong")
            node("p", _WORDS[self._kind], "muted")
            if self._kind == "fix":
                single = len(self._ticked) == 1
                label = "The event, as it should have been" if single else "JSON merge patch for each of them"
                self._field("document", label, "textarea")
            if self._kind != "retry":
                self._field("reason", "Reason, for the audit trail", "input")
            self._outcome = node("div", css="stack tight", aria_live="polite")
        with self._foot:
            button("Cancel", data_close="")
            tried = button("Try")
            on(tried, "click", self._visit.act(self._try, busy=tried))
            done = button(_TITLES[self._kind], "danger" if self._kind == "drop" else "primary")
            on(done, "click", self._visit.act(self._do, busy=done))

    def _field(self, name: str, label: str, tag: str) -> None:
        with node("div", css="field"):
            node("label", label, for_=f"f-{name}")
            control = node(tag, id=f"f-{name}", name=name, css="input mono" if tag == "textarea" else "input")
            control.props[".value"] = self._values[name]
            if tag == "textarea":
                control.props["rows"] = 10
            on_value(control, partial(self._values.__setitem__, name))

    def _request(self, *, dry_run: bool) -> AnyRequest | None:
        """Return what the form says; None: it says it wrong, and that is on screen."""
        chosen, reason = self._chosen(), self._values["reason"].strip()
        if self._kind == "retry":
            return RetryRequest(choose=chosen, dry_run=dry_run, limit=STEP)
        lacking = [] if reason or dry_run else ["Give a reason: the audit trail keeps it beside your name."]
        reason = reason or "tried"
        document: Any = None
        if self._kind == "fix":
            document, wrong = _read(self._values["document"], patch=len(self._ticked) != 1)
            lacking += wrong
        if lacking:
            self._complain(*lacking)
            return None
        if self._kind == "drop":
            return DropRequest(choose=chosen, dry_run=dry_run, limit=STEP, reason=reason)
        if len(self._ticked) == 1:
            return FixRequest(choose=chosen, dry_run=dry_run, limit=STEP, reason=reason, payload=document)
        return FixRequest(choose=chosen, dry_run=dry_run, limit=STEP, reason=reason, patch=document)

    async def _call(self, who: Principal, request: AnyRequest) -> LetterWork:
        letters = self._visit.services.dead_letters
        match request:
            case RetryRequest():
                return await letters.retry(who, self._pipeline_id, request)
            case FixRequest():
                return await letters.fix(who, self._pipeline_id, request)
            case DropRequest():
                return await letters.drop(who, self._pipeline_id, request)

    async def _try(self, who: Principal) -> None:
        request = self._request(dry_run=True)
        if request is None:
            return
        try:
            work = await self._call(who, request)
        except Invalid as error:
            self._complain(*(str(problem) for problem in error.problems))
            return
        self._draw_outcome(work)

    async def _do(self, who: Principal) -> None:
        """Work through all of them, a step a request, with the progress in view."""
        request = self._request(dry_run=False)
        if request is None:
            return
        self._outcome.clear()
        with self._outcome:
            bar = node("progress", max=max(1, self._events), value=0, aria_label="Progress")
        totals = {"events": 0, "stored": 0, "filtered": 0, "dead": 0, "missing": 0}
        while True:
            work = await self._call(who, request)
            totals = {name: count + getattr(work, name) for name, count in totals.items()}
            bar.props["value"] = totals["events"]
            if work.next_seq is None:
                break
            request = replace(request, after_seq=work.next_seq)
        go(self._visit.client, None, _sentence(totals))

    def _draw_outcome(self, work: LetterWork) -> None:
        self._outcome.clear()
        with self._outcome:
            more = " of the first" if work.next_seq is not None else ""
            node("p", f"{_sentence(msgspec.structs.asdict(work))}{more and f' ({more.strip()} {work.events:,} tried)'}")
            for letter in work.dead_letters[:5]:
                with node("div", css="problem"):
                    node("span", letter.message)
                    node("code", f"event {event_number(letter.seq)} · {letter.reason}")

    def _complain(self, *messages: str) -> None:
        self._outcome.clear()
        with self._outcome:
            problem_list([Problem("", message) for message in messages])


def _read(text: str, *, patch: bool) -> tuple[Any, list[str]]:
    """Return what was typed instead of events, and what is wrong with it; ``patch``: it is what to change in each."""
    try:
        document = json.loads(text)
    except ValueError as error:
        return None, [f"This is not JSON yet: {error}"]
    if patch and not (isinstance(document, dict) and document):
        return None, ['A patch is an object with what to change, such as {"device": "b1", "note": null}.']
    return document, []


def _sentence(counts: dict[str, Any]) -> str:
    """Return the outcome in words: ``12 events: 10 rows' worth stored, 2 still dead``."""
    words = (("stored", "stored"), ("filtered", "filtered"), ("dead", "still dead"), ("missing", "expired in Bronze"))
    told = [f"{counts[name]:,} {word}" for name, word in words if counts[name]]
    events = counts["events"]
    return f"{counted(events, 'event')}: {', '.join(told) or 'nothing to do'}"
