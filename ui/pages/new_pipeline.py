"""Creating a pipeline: choose a source, name it; then its secret once, and the command that sends to it."""

import json
from dataclasses import dataclass
from typing import Any

from nicegui.element import Element

from appliance.domain.access import Action, Principal, require
from appliance.errors import Invalid
from appliance.services.sample import THIS_HOST
from appliance.services.views import CreatedPipeline
from ui.commands import send_command
from ui.examples import DEFAULT
from ui.frame import Place
from ui.markup import button, icon, link_button, node, on_value
from ui.screens import Screens
from ui.session import Visit
from ui.widgets.card import card
from ui.widgets.code_block import code_block, secret_line
from ui.widgets.form import Field, select_field, text_field
from ui.widgets.head import page_head
from ui.widgets.problem_list import problem_list

SOURCES = (
    ("webhook", "webhook", "Webhook", "Other systems post signed events to an address of this appliance."),
    ("http_poll", "poll", "HTTP poll", "Dash asks an API for new items, page by page, on a schedule."),
    ("host_metrics", "host", "Host metrics", "CPU, memory, disk and network of this machine, every second."),
)
SIGNATURES = (
    ("standard_webhooks", "Standard Webhooks"),
    ("github", "GitHub"),
    ("stripe", "Stripe"),
    ("slack", "Slack"),
    ("hmac_sha256", "HMAC-SHA256 in a header"),
    ("none", "None: anybody who knows the address may send"),
)


@dataclass(frozen=True)
class Draft:
    """What was typed so far; ``values`` by field name."""

    values: dict[str, str]

    def document(self) -> dict[str, Any]:
        """Return the pipeline document. Events of this host come with a mapping that fits; others get theirs later."""
        kind = self.values["source"]
        source: dict[str, Any] = {"type": kind}
        if kind == "webhook":
            source["signature"] = self.values["signature"]
        if kind == "http_poll":
            source["url"] = self.values["url"].strip()
            source["cron" if self.values["pace"] == "cron" else "interval"] = self.values["when"].strip()
            if self.values["items"].strip():
                source["items"] = self.values["items"].strip()
        return {
            "name": self.values["name"].strip(),
            "source": source,
            "mapping": THIS_HOST["mapping"] if kind == "host_metrics" else {},
        }


def register(screens: Screens) -> None:
    """Register ``/pipelines/new``."""

    @screens.page("/pipelines/new", Place("New pipeline", "pipelines"))
    async def new_pipeline(visit: Visit) -> None:
        require(visit.who, Action.PIPELINE_WRITE)
        with page_head("New pipeline", "Choose where events come from. How they become rows is settled next.",
                       ("Pipelines", "/pipelines")):  # fmt: skip
            pass
        holder = node("div", css="stack").style("max-width:860px")
        with holder:
            NewPipeline(visit, holder)


class NewPipeline:
    """The form of one person. Fields of the chosen source are drawn again when another is chosen."""

    def __init__(self, visit: Visit, holder: Element) -> None:
        self._visit, self._holder = visit, holder
        asked = visit.request.query_params.get("source", "webhook")
        kinds = [kind for kind, *_ in SOURCES]
        self._draft = Draft({
            "source": asked if asked in kinds else "webhook", "name": "", "signature": "standard_webhooks", "url": "",
            "pace": "interval", "when": "1m", "items": "",
        })  # fmt: skip
        self._fields: dict[str, Field] = {}
        with node("form", css="stack") as form:
            with node("div", css="choices", role="radiogroup", aria_label="Source"):
                for kind, glyph, title, text in SOURCES:
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
            if values["source"] == "webhook":
                hint = "How the sender proves who it is. The secret is made for you and shown once."
                field = select_field("signature", "Signature", SIGNATURES, value=values["signature"], hint=hint)
                self._remember("signature", field)
            elif values["source"] == "http_poll":
                self._text("url", "Address", "Asked with GET; more is in the settings.", type="url",
                           placeholder="https://api.example.org/v1/readings")  # fmt: skip
                with node("div", css="form-grid"):
                    kinds = (("interval", "At a steady pace"), ("cron", "By a cron expression"))
                    self._remember("pace", select_field("pace", "When", kinds, value=values["pace"]))
                    self._text("when", "Pace or expression", "Such as 30s, 5m or */5 * * * *")
                    self._text("items", "Path of the items", "Where the list stands in the answer; empty: all of it",
                               placeholder="$.items")  # fmt: skip
            else:
                node("p", "Nothing else to settle: live data appear within a second.", "muted")

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
            places = {"/name": "name", "/source/url": "url", "/source/interval": "when", "/source/cron": "when",
                      "/source/items": "items", "/source/signature": "signature"}  # fmt: skip
            rest = []
            for problem in error.problems:
                field = self._fields.get(places.get(problem.pointer, ""))
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
