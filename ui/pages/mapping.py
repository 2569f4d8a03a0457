"""The mapping editor: a form and a JSON view of one draft, tried on the last real events at every change."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec
from nicegui import background_tasks
from nicegui.element import Element
from nicegui.events import ValueChangeEventArguments

from appliance.domain.access import Action, Principal
from appliance.domain.quantity import counted
from appliance.errors import DashError, Invalid, Problem, Unauthenticated
from appliance.services.stretches import Stretch
from appliance.services.views import PipelineView
from ui.documents import document_of, mapping_document
from ui.frame import Place
from ui.mapping_draft import MappingDraft
from ui.markup import button, node, on
from ui.screens import Screens
from ui.session import Visit
from ui.toast import meanwhile, sentence, toast
from ui.widgets.card import card
from ui.widgets.change_preview import ChangeDialog
from ui.widgets.drift_card import drift_card
from ui.widgets.json_editor import JsonEditor
from ui.widgets.mapping_form import MappingForm
from ui.widgets.mapping_preview import draw_preview
from ui.widgets.pipeline_frame import pipeline_frame
from ui.widgets.problem_list import problem_list

SETTLE_SECS = 0.3
LAST_EVENTS = 100


def register(screens: Screens) -> None:
    """Register ``/pipelines/{pipeline_id}/mapping``."""

    @screens.page("/pipelines/{pipeline_id}/mapping", Place("Mapping", "pipelines", "mapping"))
    async def mapping(visit: Visit) -> None:
        view = await pipeline_frame(visit, "mapping")
        with node("div", css="stack"):
            await drift_card(visit, view.id)
            MappingPage(visit, view).begin()


class MappingPage:
    """One person editing one mapping. ``_version``: what is saved now."""

    def __init__(self, visit: Visit, view: PipelineView) -> None:
        self._visit, self._view, self._version = visit, view, view.version
        self._draft = MappingDraft(mapping_document(view.mapping))
        self._waiting: asyncio.Task[None] | None = None
        self._as_json = False
        self._change = ChangeDialog(visit, view.id, self._draft)
        editable = visit.may(Action.PIPELINE_WRITE)
        with node("div", css="split even"):
            with card("Mapping") as (head, _):
                with head, node("div", css="row"):
                    self._buttons(editable)
                self._form_holder = node("div")
                with self._form_holder:
                    self._form = MappingForm(self._draft, self._changed, editable=editable)
                self._json_holder = node("div", css="editor")
                self._json_holder.set_visibility(False)
                with self._json_holder:
                    self._json = JsonEditor(visit, self._json_changed, editable=editable)
            with node("div", css="sticky"), card("Preview") as (head, _):
                with head, node("div", css="row"):
                    node("span", f"on the last {LAST_EVENTS} events", "sub")
                    compare = button("Compare…", "small", title="With what runs, over stored events")
                    on(compare, "click", visit.act(self._change.open, busy=compare))
                self._preview = node("div", css="stack tight", aria_live="polite")

    def begin(self) -> None:
        """Show the first preview as soon as it is there; the page does not wait for it."""
        with self._preview:
            for _ in range(6):
                node("div", css="skeleton").style("height:18px")
        background_tasks.create(self.preview(), name="first mapping preview")

    def _buttons(self, editable: bool) -> None:
        with node("div", css="segmented", role="group", aria_label="View"):
            for label, as_json in (("Form", False), ("JSON", True)):
                made = node("button", label, type="button", aria_pressed=str(not as_json).lower())
                on(made, "click", self._switching(as_json))
                setattr(self, f"_{label.lower()}_button", made)
        if not editable:
            return
        suggest = button("Suggest", "small", glyph="spark", title="Add fields for what the last events hold")
        on(suggest, "click", self._visit.act(self._suggest, busy=suggest))
        self._save_button = button(f"Save as version {self._version + 1}", "primary small")
        on(self._save_button, "click", self._visit.act(self._save, busy=self._save_button))

    def _switching(self, as_json: bool) -> Callable[[object], None]:
        return lambda _: self._switch(as_json)

    def _switch(self, as_json: bool) -> None:
        self._as_json = as_json
        if as_json:
            self._json.show(self._draft.document())
        else:
            self._form.show()
        self._form_holder.set_visibility(not as_json)
        self._json_holder.set_visibility(as_json)
        for name, pressed in (("_form_button", not as_json), ("_json_button", as_json)):
            made: Element = getattr(self, name)
            made.props["aria-pressed"] = str(pressed).lower()
        self._changed()

    def _json_changed(self, event: ValueChangeEventArguments[str]) -> None:
        document = self._json.read()
        if isinstance(document, Problem):
            self._show_problems([document])
        elif self._as_json:
            self._draft.load(document)
            self._changed()

    def _changed(self) -> None:
        """Preview once the typing pauses."""
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = background_tasks.create(self._settle(), name="mapping preview")

    async def _settle(self) -> None:
        await asyncio.sleep(SETTLE_SECS)
        self._waiting = None
        await self.preview()

    async def preview(self) -> None:
        """Try the draft on the last events and show what becomes of them, or everything that is wrong with it."""
        try:
            who = await self._visit.principal()
            answer = await self._visit.services.previews.preview(
                who, self._draft.document(), None, self._view.id, Stretch(last=LAST_EVENTS)
            )
        except Invalid as error:
            self._show_problems(error.problems)
            return
        except Unauthenticated:
            self._visit.client.run_javascript("location.reload()")
            return
        except DashError as error:
            self._show_problems([Problem("", sentence(error))])
            return
        if answer.problems:
            self._show_problems(answer.problems)
            return
        self._show_problems(())
        with self._preview:
            draw_preview(answer)

    def _show_problems(self, problems: Sequence[Problem]) -> None:
        if self._as_json:
            self._json.tell(problems)
            rest = list(problems)
        else:
            rest = self._form.tell(problems)
        self._preview.clear()
        with self._preview:
            if problems and not rest:
                node("p", "The mapping cannot be tried yet: see the marked fields.", "muted")
            problem_list(rest)

    async def _suggest(self, who: Principal) -> None:
        ledger = await self._visit.services.records.ledger(who, self._view.id)
        if not ledger.received:
            toast(self._visit.client, "There is no event yet to learn from: send one first", "bad")
            return
        found = await self._visit.services.suggestions.suggest(who, None, self._view.id)
        added = self._draft.take(msgspec.to_builtins(found.mapping))
        self._switch(False)
        learned = f"Added {counted(added, 'field')}, learned from {counted(found.samples, 'event')}"
        told = learned if added else "Every value is mapped already"
        toast(self._visit.client, " · ".join([told, *found.notes[:2]]))

    async def _save(self, who: Principal) -> None:
        pipelines = self._visit.services.pipelines
        current = await pipelines.get(who, self._view.id)
        if current.version != self._version:
            self._on_top_of(current.version)
            toast(self._visit.client, meanwhile(current.version), "bad")
            return
        try:
            saved = await pipelines.replace(
                who, self._view.id, {**document_of(current), "mapping": self._draft.document()}
            )
        except Invalid as error:
            self._show_problems(error.problems)
            toast(self._visit.client, "Not saved: the mapping has problems", "bad")
            return
        self._on_top_of(saved.version)
        toast(self._visit.client, f"Version {saved.version} is running; it applies to events from now on")

    def _on_top_of(self, version: int) -> None:
        self._version = version
        label = next(child for child in self._save_button.descendants() if hasattr(child, "text"))
        setattr(label, "text", f"Save as version {version + 1}")  # noqa: B010 - markup.Text behind Element
