"""Settings of one pipeline: its document, signing secrets, and its end."""

from nicegui.element import Element

from appliance.domain.access import Action, Principal
from appliance.errors import Invalid, Problem
from appliance.services.views import PipelineView
from ui.documents import document_of
from ui.frame import Place
from ui.markup import button, icon, node, on, on_value
from ui.screens import Screens
from ui.session import Visit
from ui.toast import go, meanwhile, toast
from ui.widgets.card import card
from ui.widgets.code_block import secret_line
from ui.widgets.dialog import dialog, show
from ui.widgets.json_editor import JsonEditor
from ui.widgets.pipeline_frame import pipeline_frame
from ui.widgets.problem_list import problem_list


def register(screens: Screens) -> None:
    """Register ``/pipelines/{pipeline_id}/settings``."""

    @screens.page("/pipelines/{pipeline_id}/settings", Place("Settings", "pipelines", "api#a-pipeline"))
    async def settings(visit: Visit) -> None:
        view = await pipeline_frame(visit, "settings")
        editable = visit.may(Action.PIPELINE_WRITE)
        with node("div", css="split"):
            _document(visit, view, editable)
            with node("div", css="stack"):
                if editable and view.ingest_url and view.source.get("signature") != "none":
                    _secrets(visit, view)
                if editable:
                    _delete(visit, view)


def _document(visit: Visit, view: PipelineView, editable: bool) -> None:
    with card("Document") as (head, _), node("div", css="stack editor"):
        node(
            "p",
            "The whole pipeline, as the API takes it. Secrets stay masked: leave ******** to keep one.",
            "muted",
        )
        told = node("div")
        editor = JsonEditor(visit, lambda _: None, editable=editable)
        editor.show(document_of(view))
    seen = view.version

    async def save(who: Principal) -> None:
        nonlocal seen
        document = editor.read()
        newest = (await visit.services.pipelines.get(who, view.id)).version
        if newest != seen:
            seen = newest
            toast(visit.client, meanwhile(newest), "bad")
            return
        problems: tuple[Problem, ...] = ()
        if isinstance(document, Problem):
            problems = (document,)
        else:
            try:
                saved = await visit.services.pipelines.replace(who, view.id, document)
                seen = saved.version
                toast(visit.client, f"Version {saved.version} is running")
            except Invalid as error:
                problems = error.problems
        editor.tell(problems)
        told.clear()
        with told:
            problem_list(problems)

    if editable:
        with head:
            made = button("Save as a new version", "primary small")
        on(made, "click", visit.act(save, busy=made))


def _secrets(visit: Visit, view: PipelineView) -> None:
    pipelines = visit.services.pipelines
    with card("Signing secret"), node("div", css="stack"):
        node("p", "Senders sign with it. After a rotation the old one stays valid until you forget it.", "muted")
        place = node("div", css="stack tight")
        with node("div", css="row"):
            reveal, rotate = button("Show", glyph="eye"), button("Rotate", glyph="refresh")
            forget = button("Forget the old ones", "danger", glyph="trash")

    def draw(secrets: list[str], words: str) -> None:
        place.clear()
        with place:
            for number, secret in enumerate(secrets):
                secret_line(secret, f"secret-{number}")
            node("p", words, "small faint")

    async def show_secrets(who: Principal) -> None:
        secrets = await pipelines.secrets(who, view.id)
        draw(secrets, "The newest is the first; any of them is accepted." if len(secrets) > 1 else "")

    async def rotate_secret(who: Principal) -> None:
        secret = await pipelines.rotate_secret(who, view.id)
        draw([secret], "Give it to the senders, then forget the old ones.")
        toast(visit.client, "There is a new signing secret; the old one stays valid")

    async def forget_old(who: Principal) -> None:
        await pipelines.drop_secret(who, view.id)
        place.clear()
        toast(visit.client, "Only the newest secret is accepted now")

    for made, act in ((reveal, show_secrets), (rotate, rotate_secret), (forget, forget_old)):
        on(made, "click", visit.act(act, busy=made))


def _delete(visit: Visit, view: PipelineView) -> None:
    typed = {"name": ""}
    with dialog(f"Delete {view.name}?") as box:
        with node("div", css="dialog-body"):
            with node("div", css="callout bad"):
                icon("alert")
                received = f"{view.live.ledger.received:,}"
                node(
                    "p",
                    f"This removes the pipeline with its {received} events, its rows and dead letters, for ever.",
                    "grow",
                )
            with node("label", css="field"):
                node("span", f"Type {view.name} to confirm", "label")
                name = node("input", css="input", autocomplete="off")
        with node("div", css="dialog-foot"):
            button("Cancel", data_close="")
            sure = button("Delete the pipeline", "danger fill", disabled=True)
    with card("Delete this pipeline"):
        node("p", "Its events, rows and dead letters go with it.", "muted")
        with node("div").style("margin-top:12px"):
            ask = button("Delete…", "danger", glyph="trash")
    on(ask, "click", lambda _: show(box))

    def check_name(value: str) -> None:
        typed["name"] = value
        _enable(sure, value == view.name)

    async def delete(who: Principal) -> None:
        if typed["name"] == view.name:
            await visit.services.pipelines.delete(who, view.id)
            go(visit.client, "/pipelines", f"{view.name} is deleted")

    on_value(name, check_name)
    on(sure, "click", visit.act(delete))


def _enable(element: Element, enabled: bool) -> None:
    if enabled:
        element.props.pop("disabled", None)
    else:
        element.props["disabled"] = True
