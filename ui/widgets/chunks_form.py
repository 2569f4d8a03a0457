"""What a pipeline says of its chunks: a form, what it would change in words, and then saving it."""

from functools import partial
from typing import Any, Final

from appliance.components.chunks import Edition
from appliance.domain.access import Action, Principal
from appliance.domain.mapping import FieldType
from appliance.domain.pipeline import Chunks
from appliance.errors import Invalid
from appliance.services.chunks import ChunksView
from appliance.services.views import PipelineView
from ui.markup import button, icon, node, on, on_value
from ui.session import Visit
from ui.toast import go, toast
from ui.widgets.card import card
from ui.widgets.dialog import dialog, show
from ui.widgets.figures import moment
from ui.widgets.form import Field, select_field, text_field

_VIEWS: Final = {"": None, "yes": True, "no": False}


class ChunksForm:
    """Drawn for those who may write the pipeline; for others it says what is in force."""

    def __init__(self, visit: Visit, view: PipelineView, chunks: ChunksView) -> None:
        self._visit, self._view, self._chunks = visit, view, chunks
        said = chunks.chunks
        views = next(name for name, wanted in _VIEWS.items() if wanted is said.views)
        self._values = {
            "interval": said.interval or "", "compress_after": said.compress_after or "",
            "order_by": said.order_by or "", "views": views,
        }  # fmt: skip
        self._fields: dict[str, Field] = {}
        self._columns = chunks.edition is Edition.COMMUNITY

    def draw(self) -> None:
        """Draw the form, and the dialog in which it is looked at before it is saved."""
        editable = self._visit.may(Action.PIPELINE_WRITE)
        with card("Chunks and columns"), node("form", css="form") as form:
            usual = self._chunks.usual or Chunks()
            node("p", "Empty: as the installation says. Rows stay what they are, whatever is said here.", "muted")
            self._text(
                "interval", "A new chunk is for", usual.interval, "best some millions of rows", disabled=not editable
            )
            self._text(
                "compress_after", "It goes into columns after its end by", usual.compress_after, "or never",
                disabled=not editable or not self._columns,
            )  # fmt: skip
            self._order(disabled=not editable or not self._columns)
            self._views(usual, disabled=not editable or not self._columns)
            if editable:
                with node("div", css="form-foot"):
                    icon("clock")
                    with node("span", css="sub").style("margin-right:auto"):
                        node("span", "Counts from the next round of retention on: ")
                        moment(self._chunks.next_round, "date")
                    look = button("See what it changes…", "primary", type="submit")
                form.on("submit.prevent", self._visit.act(self._preview, busy=look), args=[])
        if editable:
            self._dialog()

    def _text(self, name: str, label: str, usual: str | None, more: str, *, disabled: bool) -> None:
        hint = f"{more}; the installation says {usual}"
        field = text_field(name, label, hint=hint, value=self._values[name], placeholder=usual or "", disabled=disabled)
        on_value(field.control, partial(self._values.__setitem__, name))
        self._fields[name] = field

    def _order(self, *, disabled: bool) -> None:
        fields = [field.name for field in self._view.mapping.fields if field.type is not FieldType.JSON]
        options = [("", "guessed from the rows"), *((name, name) for name in fields)]
        now = self._chunks.ordered_by
        hint = f"what tells devices apart; by now: {now}" if now else "what tells devices apart"
        self._select("order_by", "In columns rows are put together by", options, hint, disabled=disabled)

    def _views(self, usual: Chunks, *, disabled: bool) -> None:
        told = f"as the installation says ({'yes' if usual.views else 'no'})"
        options = [("", told), ("yes", "yes, one for each rollup"), ("no", "no")]
        hint = "continuous aggregates; this appliance itself never reads them"
        self._select("views", "Keep views for other tools", options, hint, disabled=disabled)

    def _select(self, name: str, label: str, options: list[tuple[str, str]], hint: str, *, disabled: bool) -> None:
        field = select_field(name, label, options, value=self._values[name], hint=hint)
        if disabled:
            field.control.props["disabled"] = True
        on_value(field.control, partial(self._values.__setitem__, name))
        self._fields[name] = field

    def _dialog(self) -> None:
        with dialog("What it changes") as self._box:
            self._words = node("div", css="dialog-body")
            with node("div", css="dialog-foot"):
                button("Back", data_close="")
                save = button("Save as a new version", "primary")
        on(save, "click", self._visit.act(self._save, busy=save))

    def _document(self) -> dict[str, Any]:
        """Return what was entered, as the API takes it."""
        said: dict[str, Any] = {name: text.strip() for name, text in self._values.items() if text.strip()}
        if "views" in said:
            said["views"] = _VIEWS[said["views"]]
        return said

    async def _preview(self, who: Principal) -> None:
        for field in self._fields.values():
            field.complain("")
        try:
            found = await self._visit.services.chunks.preview(who, self._view.id, self._document())
        except Invalid as error:
            self._complain(error)
            return
        self._words.clear()
        with self._words, node("ul", css="words"):
            for sentence in found.effects:
                node("li", sentence)
        show(self._box)

    async def _save(self, who: Principal) -> None:
        saved = await self._visit.services.chunks.put(who, self._view.id, self._document())
        running = await self._visit.services.pipelines.get(who, saved.pipeline_id)
        go(self._visit.client, None, f"Version {running.version} is running")

    def _complain(self, error: Invalid) -> None:
        for problem in error.problems:
            name = problem.pointer.strip("/")
            if name in self._fields:
                hint = f" ({problem.hint})" if problem.hint else ""
                self._fields[name].complain(f"{problem.message}{hint}")
        toast(self._visit.client, "Not saved: see the marked fields", "bad")
