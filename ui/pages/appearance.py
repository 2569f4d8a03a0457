"""What the appliance is called and looks like: words, colour, pictures, seen in both themes before they are saved."""

import json
from functools import partial
from typing import Final

import msgspec
from nicegui.element import Element

from appliance.domain import accent, colour
from appliance.domain.access import Principal
from appliance.domain.brand import Brand, Kind, Support, Words, problems, tidied
from appliance.errors import Invalid
from ui.brand import brand_markup
from ui.frame import Place
from ui.markup import button, icon, node, on, on_value
from ui.screens import Screens
from ui.session import Visit
from ui.theme import COLOURS
from ui.toast import go, sentence, toast
from ui.widgets.card import card
from ui.widgets.dialog import dialog, show
from ui.widgets.form import Field, check, set_value, text_field
from ui.widgets.head import page_head
from ui.widgets.look import looks

_HERE: Final = "/appearance"
_PICTURES: Final = (
    (Kind.LOGO, "Logo", "In both themes, unless there is one for the dark theme.", ".png,.svg"),
    (Kind.LOGO_DARK, "Logo for the dark theme", "Light on dark.", ".png,.svg"),
    (Kind.FAVICON, "Icon of the browser's tab", "Without one, the logo or the first letter.", ".png,.svg,.ico"),
)  # fmt: skip
_UPLOADED: Final = "picture-uploaded"


def register(screens: Screens) -> None:
    """Register ``/appearance``."""

    @screens.page(_HERE, Place("Appearance", "appearance", "appearance"))
    async def appearance(visit: Visit) -> None:
        refusal = await visit.services.branding.refusal(visit.who)
        with page_head("Appearance", "Name, colour and logo on every screen, of everybody, before signing in too."):
            pass
        with node("div", css="stack"):
            if refusal is not None:
                with node("div", css="callout"):
                    icon("lock")
                    node("p", f"{sentence(refusal)}.", "grow")
            Editor(visit, locked=refusal is not None)


class Editor:
    """What was typed, and how it would look. Pictures are shown to everybody as soon as they are uploaded."""

    def __init__(self, visit: Visit, *, locked: bool) -> None:
        self._visit, self._locked = visit, locked
        words = self._brand.words
        told = words.support or Support("")
        self._values = {
            "name": words.name or "", "accent": words.accent or "", "text": told.text, "link": told.link or "",
        }  # fmt: skip
        self._flags = {"powered_by": words.powered_by, "name_beside_logo": words.name_beside_logo}
        self._accent = words.accent  # the last that could be one
        self._fields: dict[str, Field] = {}
        with node("div", css="split even"):
            with node("div", css="stack"):
                self._form()
                with card("Pictures"), node("div", css="stack"):
                    self._pictures = node("div", css="stack")
                    if not locked:
                        _upload_foot(self._visit.act(self._uploaded))
            with node("div", css="stack sticky"):
                with card("How it looks"):
                    self._looks = node("div")
                self._reset()
        self._draw_pictures()
        self._draw_looks()

    @property
    def _brand(self) -> Brand:
        return self._visit.services.branding.now()

    def _form(self) -> None:
        with card("Name and colour"), node("div", css="stack"):
            self._text("name", "Name", "Shown instead of Dash. Empty: Dash.", maxlength=120, dir="auto")
            with node("div", css="accent-row"):
                self._picker = node("input", type="color", aria_label="Choose the accent", disabled=self._locked)
                self._text(
                    "accent", "Accent", "Of buttons and links. Charts keep their colours.", placeholder="#2f4fd0"
                )
            self._hint = node("div")
            self._text("text", "Who helps", "One line, below the sign-in form and on error pages.", dir="auto")
            self._text(
                "link", "Where that leads", "An address with https: or mailto:", placeholder="mailto:help@example.org"
            )
            self._flag("name_beside_logo", "Show the name beside the logo", "Not needed where the logo holds it.")
            self._flag("powered_by", "Say that this is Dash", "Below the sign-in form and in the menu.")
            with node("div"):
                made = button("Save", "primary", disabled=self._locked)
        self._show_accent()
        on_value(self._picker, self._picked)
        on(made, "click", self._visit.act(self._save, busy=made))

    def _text(self, name: str, label: str, hint: str, **attributes: object) -> None:
        field = text_field(
            name, label, hint=hint, value=self._values[name], disabled=self._locked, autocomplete="off", **attributes
        )
        self._fields[name] = field
        on_value(field.control, partial(self._typed, name))

    def _flag(self, name: str, label: str, hint: str) -> None:
        box = check(name, label, hint=hint, checked=self._flags[name])
        if self._locked:
            box.props["disabled"] = True
        on_value(box, partial(self._ticked, name), checked=True)

    def _typed(self, name: str, text: str) -> None:
        self._values[name] = text
        if name == "accent":
            self._show_accent()
        self._draw_looks()

    def _ticked(self, name: str, yes: bool) -> None:
        self._flags[name] = yes
        self._draw_looks()

    def _picked(self, text: str) -> None:
        set_value(self._fields["accent"].control, text)
        self._typed("accent", text)

    def _words(self) -> Words:
        values = self._values
        support = Support(values["text"], values["link"]) if values["text"].strip() or values["link"].strip() else None
        return tidied(Words(name=values["name"], accent=values["accent"], support=support, **self._flags))

    def _show_accent(self) -> None:
        """Take over an accent that can be one, and say at once why another cannot, with the nearest that can."""
        given = self._words().accent
        whole = given is None or colour.parsed(given) is not None
        wrong = accent.misfit(given) if given is not None and whole else None
        told = [one.message for one in problems(Words(accent=given))] if wrong is not None else []
        self._fields["accent"].complain(f"{told[0]}." if told else "")
        self._hint.clear()
        if whole and wrong is None:
            self._accent = given
            set_value(self._picker, given or COLOURS["accent-fill"][0])
        if wrong is not None:
            nearest = wrong.nearest
            with self._hint:
                take = button(f"Take {nearest}, the nearest that can be read", "small", style=f"--nearest:{nearest}")
                take.classes("nearest")
            on(take, "click", lambda _: self._picked(nearest))

    def _draw_looks(self) -> None:
        words = msgspec.structs.replace(self._words(), accent=self._accent)
        if not problems(words):
            self._looks.clear()
            with self._looks:
                looks(Brand(words, self._brand.pictures))

    async def _save(self, who: Principal) -> None:
        for field in self._fields.values():
            field.complain("")
        try:
            await self._visit.services.branding.change(who, self._words())
        except Invalid as error:
            for problem in error.problems:
                told = f"{problem.message} ({problem.hint})" if problem.hint else problem.message
                self._fields[problem.pointer.rpartition("/")[2]].complain(told)
            return
        go(self._visit.client, _HERE, "Everybody sees it from now on")

    def _draw_pictures(self) -> None:
        self._pictures.clear()
        with self._pictures:
            for kind, label, hint, endings in _PICTURES:
                with node("div", css="picture-row"):
                    address = self._brand.address(kind)
                    with node("div", css=f"picture {'on-dark-surface' if kind is Kind.LOGO_DARK else ''}"):
                        if address is not None:
                            node("img", src=address, alt=label)
                        else:
                            node("span", "none", "faint small")
                    with node("div", css="grow"):
                        node("b", label)
                        node("p", hint, "muted small")
                    self._choice(kind, label, endings)
                    if address is not None:
                        drop = button("Remove", "ghost small", aria_label=f"Remove: {label}")
                        on(drop, "click", self._visit.act(partial(self._drop, kind), busy=drop))

    def _choice(self, kind: Kind, label: str, endings: str) -> None:
        if self._locked:
            return
        with node("label", css="btn small"):
            icon("inbox")
            node("span", "Choose a file")
            node(
                "input", css="hidden-file", type="file", accept=endings, aria_label=label,
                data_upload=f"/api/v1/branding/{kind.value}", data_upload_then=_UPLOADED,
            )  # fmt: skip

    async def _uploaded(self, _: Principal) -> None:
        await self._visit.services.branding.look()  # another node may have taken it
        self._shown("Everybody sees it from now on")

    async def _drop(self, kind: Kind, who: Principal) -> None:
        await self._visit.services.branding.drop_picture(who, kind.value)
        self._shown("It is taken away")

    def _shown(self, told: str) -> None:
        """Draw what is shown now, in the menu of this very page too: what was typed and not saved stays typed."""
        self._draw_pictures()
        self._draw_looks()
        markup = json.dumps(brand_markup(self._brand))
        self._visit.client.run_javascript(f"document.querySelector('.side .brand').innerHTML = {markup}")
        toast(self._visit.client, told)

    def _reset(self) -> None:
        if not self._brand.own:
            return
        box, sure = _question()
        with card("Back to Dash"):
            node("p", "Name, colour, help line and pictures go. This is possible without a licence too.", "muted")
            with node("div").style("margin-top:12px"):
                ask = button("Reset…", "danger", glyph="refresh")
        on(ask, "click", lambda _: show(box))
        on(sure, "click", self._visit.act(self._restore, busy=sure))

    async def _restore(self, who: Principal) -> None:
        await self._visit.services.branding.reset(who)
        go(self._visit.client, _HERE, "It is Dash again")


def _question() -> tuple[Element, Element]:
    """Draw the closed dialog that asks whether to reset; return it and its last button."""
    with dialog("Back to Dash?") as box:
        with node("div", css="dialog-body"):
            node("p", "Everybody sees Dash from then on. Pictures that were uploaded are removed.")
        with node("div", css="dialog-foot"):
            button("Cancel", data_close="")
            sure = button("Reset", "danger fill")
    return box, sure


def _upload_foot(done: object) -> None:
    node("progress", max=1, value=0, hidden=True, aria_label="Upload", data_upload_progress="")
    node("p", "", "error", role="alert", data_upload_error="")
    node("p", "PNG or SVG, at most 256 KiB. Shown to everybody as soon as it is uploaded.", "muted small")
    on(button("", hidden=True, id=_UPLOADED, tabindex="-1"), "click", done)  # type: ignore[arg-type]
