"""Creating a pipeline: choose a source, name it; then its secret once, and the command that sends to it."""

import json
from collections.abc import Sequence

from nicegui.element import Element

from appliance.domain.access import Action, Principal, require
from appliance.errors import Invalid
from appliance.services.paging import MAX_ITEMS
from appliance.services.pipeline_changes import OF_THE_MACHINE
from appliance.services.views import CreatedPipeline, PipelineView
from ui.commands import send_command
from ui.examples import DEFAULT
from ui.frame import Place
from ui.markup import button, icon, link_button, node, on_value
from ui.pages.pipelines import full
from ui.pipeline_draft import EMPTY, PLACES, SOURCES, Draft
from ui.screens import Screens
from ui.session import Visit
from ui.widgets.card import card
from ui.widgets.code_block import code_block, secret_line
from ui.widgets.form import Field, area_field, select_field, text_field
from ui.widgets.head import page_head
from ui.widgets.problem_list import problem_list

SIGNATURES = (
    ("standard_webhooks", "Standard Webhooks"),
    ("github", "GitHub"),
    ("stripe", "Stripe"),
    ("slack", "Slack"),
    ("hmac_sha256", "HMAC-SHA256 in a header"),
    ("none", "None: anybody who knows the address may send"),
)


STARTS = (("beginning", "With the oldest row there is"), ("now", "With the next row"))


def register(screens: Screens) -> None:
    """Register ``/pipelines/new``."""

    @screens.page("/pipelines/new", Place("New pipeline", "pipelines", "sources"))
    async def new_pipeline(visit: Visit) -> None:
        require(visit.who, Action.PIPELINE_WRITE)
        with page_head("New pipeline", "Choose where events come from. How they become rows is settled next.",
                       ("Pipelines", "/pipelines")):  # fmt: skip
            pass
        known = (await visit.services.pipelines.list(visit.who, limit=MAX_ITEMS)).items
        holder = node("div", css="stack").style("max-width:860px")
        with holder:
            NewPipeline(visit, holder, known)
            await full(visit)


class NewPipeline:
    """The form of one person. Fields of the chosen source are drawn again when another is chosen."""

    def __init__(self, visit: Visit, holder: Element, known: Sequence[PipelineView]) -> None:
        self._visit, self._holder = visit, holder
        self._known = [(view.id, view.name) for view in known]
        offered = [one for one in SOURCES if visit.who.operates or str(one[0]) != OF_THE_MACHINE]
        asked = visit.request.query_params.get("source", "webhook")
        values = EMPTY | {
            "source": asked if asked in [kind for kind, *_ in offered] else "webhook",
            "pipeline": visit.request.query_params.get("pipeline") or (known[0].id if known else ""),
        }
        self._draft = Draft(values, {view.id: view.mapping for view in known})
        self._fields: dict[str, Field] = {}
        with node("form", css="stack") as form:
            with node("div", css="choices", role="radiogroup", aria_label="Source"):
                for kind, glyph, title, text in offered:
                    self._choice(kind, glyph, title, text)
            with card("Details"):
                self._details = node("div", css="form")
            self._told = node("div")
            with node("div", css="form-foot"):
                self._create_button = button("Create pipeline", "primary", type="submit")
                link_button("Cancel", "/pipelines", "ghost")
        form.on("submit.prevent", visit.act(self._create, busy=self._create_button), args=[])
        self._draw()

    def _choice(self, kind: str, glyph: str, title: str, text: str) -> None:
        with node("label", css="choice"):
            box = node("input", type="radio", name="source", value=kind)
            box.props[".checked"] = kind == self._draft.values["source"]
            icon(glyph)
            node("b", title)
            node("span", text)
        on_value(box, lambda _: self._choose(kind), checked=True)

    def _choose(self, kind: str) -> None:
        self._draft.values["source"] = kind
        self._draw()

    def _draw(self) -> None:
        self._details.clear()
        self._fields.clear()
        values = self._draft.values
        with self._details:
            self._text(
                "name", "Name", "Short and unique in your organisation.", placeholder="boiler-room", autofocus=True
            )
            match values["source"]:
                case "webhook":
                    hint = "How the sender proves who it is. The secret is made for you and shown once."
                    self._select("signature", "Signature", SIGNATURES, hint)
                case "http_poll":
                    self._text("url", "Address", "Asked with GET; more is in the settings.", type="url",
                               placeholder="https://api.example.org/v1/readings")  # fmt: skip
                    self._schedule("Where the list stands in the answer; empty: all of it", "$.items")
                case "graphql_poll":
                    self._draw_graphql()
                case "pipeline":
                    self._draw_upstream()
                case _:
                    node("p", "Nothing else to settle: live data appear within a second.", "muted")

    def _schedule(self, hint: str, example: str) -> None:
        with node("div", css="form-grid"):
            kinds = (("interval", "At a steady pace"), ("cron", "By a cron expression"))
            self._select("pace", "When", kinds)
            self._text("when", "Pace or expression", "Such as 30s, 5m or */5 * * * *")
            self._text("items", "Path of the items", hint, placeholder=example)

    def _draw_graphql(self) -> None:
        self._text("url", "Address", "Asked with POST; credentials and variables are in the settings.", type="url",
                   placeholder="https://api.example.org/graphql")  # fmt: skip
        hint = "For pages: a variable $after, and pageInfo { hasNextPage endCursor } in the connection."
        self._remember("query", area_field("query", "Query", hint=hint, value=self._draft.values["query"]))
        self._schedule("Where the list stands in the answer", "$.data.readings.nodes")
        self._text("connection", "Path of the connection", "For pages; empty: the answer is whole",
                   placeholder="$.data.readings")  # fmt: skip

    def _draw_upstream(self) -> None:
        if not self._known:
            node("p", "There is no pipeline to read yet: create one with another source first.", "muted")
            return
        hint = "Its rows come as events. The mapping is made to take them as they are; change it as you like."
        self._select("pipeline", "Pipeline", self._known, hint)
        self._select("start", "Start", STARTS)

    def _select(self, name: str, label: str, options: Sequence[tuple[str, str]], hint: str = "") -> None:
        self._remember(name, select_field(name, label, options, value=self._draft.values[name], hint=hint))

    def _text(self, name: str, label: str, hint: str, **attributes: str | bool) -> None:
        self._remember(name, text_field(name, label, hint=hint, value=self._draft.values[name], **attributes))

    def _remember(self, name: str, field: Field) -> None:
        self._fields[name] = field

        def keep(value: str) -> None:
            self._draft.values[name] = value
            if getattr(field.error, "text", ""):
                field.complain("")

        on_value(field.control, keep)

    async def _create(self, who: Principal) -> None:
        self._told.clear()
        document = self._draft.document()
        try:
            made = await self._visit.services.pipelines.create(who, document)
        except Invalid as error:
            rest = []
            for problem in error.problems:
                field = self._fields.get(PLACES.get(problem.pointer, ""))
                if field is None:
                    rest.append(problem)
                else:
                    field.complain(" ".join(filter(None, (problem.message, problem.hint))))
            with self._told:
                problem_list(rest)
            return
        self._holder.clear()
        with self._holder:
            _created(self._visit, made)


def _created(visit: Visit, made: CreatedPipeline) -> None:
    view = made.pipeline
    with node("div", css="callout"):
        icon("check")
        node("span", f"{view.name} is running.", "grow")
    if made.secret:
        with card("Signing secret"), node("div", css="stack tight"):
            node(
                "p",
                "Keep it where the sender can read it. You can show it again in the settings; that is audited.",
                "muted",
            )
            secret_line(made.secret, "new-secret")
    if view.ingest_url:
        url = str(view.at(str(visit.request.base_url)).ingest_url)
        with card("Send the first event"), node("div", css="stack tight"):
            node("p", "Paste it into a shell: it signs the event and sends it.", "muted")
            code_block(send_command(view.source, url, made.secret, json.dumps(DEFAULT)), "send-command")
    with node("div", css="form-foot"):
        link_button("Open the pipeline", f"/pipelines/{view.id}", "primary")
        link_button("Write the mapping", f"/pipelines/{view.id}/mapping")
