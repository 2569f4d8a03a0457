"""A form in a dialog: filled anew each time it opens; what is wrong is told inside, at the field it belongs to."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple

from appliance.domain.access import Principal
from appliance.errors import DashError, Invalid, Unauthenticated
from ui.markup import button, node, on_value
from ui.session import Visit
from ui.toast import sentence
from ui.widgets.dialog import close, dialog, show
from ui.widgets.form import Field, password_field, select_field, set_text, text_field

PASSWORD_HINT = "At least 12 characters. Hand it over yourself: no e-mail is sent."  # noqa: S105 - a hint


class Asked(NamedTuple):
    """One field. ``kind``: text, email, password or select, which has ``options`` (value, label)."""

    name: str
    label: str
    kind: str = "text"
    value: str = ""
    hint: str = ""
    options: Sequence[tuple[str, str]] = ()


Deed = Callable[[Principal, dict[str, str]], Awaitable[None]]


class FormDialog:
    """``deed`` is done with what was entered; a DashError of it is told and the dialog stays open."""

    def __init__(self, visit: Visit, title: str, label: str, kind: str = "primary") -> None:
        self._visit = visit
        self._values: dict[str, str] = {}
        self._fields: dict[str, Field] = {}
        self._deed: Deed | None = None
        with dialog(title) as self._box, node("form") as form:
            with node("div", css="dialog-body"):
                self._error = node("div", "", "form-error", role="alert")
                self._lead = node("p", "", "muted", hidden=True)
                self._body = node("div", css="form")
            with node("div", css="dialog-foot"):
                button("Cancel", data_close="")
                send = button(label, kind, type="submit")
        form.on("submit.prevent", visit.act(self._send, busy=send), args=[])

    def open(self, fields: Sequence[Asked], deed: Deed, lead: str = "") -> None:
        """Ask for ``fields``; ``lead``: a sentence above them."""
        self._deed, self._values = deed, {one.name: one.value for one in fields}
        set_text(self._error, "")
        set_text(self._lead, lead)
        self._lead.props["hidden"] = not lead
        self._body.clear()
        with self._body:
            self._fields = {one.name: _drawn(one, f"{one.name}-{self._box.id}") for one in fields}
        for name, field in self._fields.items():
            on_value(field.control, partial(self._values.__setitem__, name))
        show(self._box)

    async def _send(self, who: Principal) -> None:
        if self._deed is None:
            return
        for field in self._fields.values():
            field.complain("")
        set_text(self._error, "")
        try:
            await self._deed(who, dict(self._values))
        except Unauthenticated:
            raise
        except Invalid as error:
            self._complain(error)
            return
        except DashError as error:
            set_text(self._error, f"{sentence(error)}.")
            return
        self._values.clear()  # a password stays here no longer than it is needed
        close(self._box)

    def _complain(self, error: Invalid) -> None:
        rest = []
        for problem in error.problems:
            field = self._fields.get(problem.pointer.removeprefix("/"))
            if field is None:
                rest.append(problem.message)
            else:
                field.complain(f"{sentence(problem.message)}.")
        set_text(self._error, f"{sentence('; '.join(rest))}." if rest else "")


def _drawn(one: Asked, name: str) -> Field:
    """``name``: of this dialog's alone, for a page may have several that ask for the same."""
    match one.kind:
        case "select":
            return select_field(name, one.label, one.options, value=one.value, hint=one.hint)
        case "password":
            hint = one.hint or PASSWORD_HINT
            return password_field(name, one.label, hint=hint, autocomplete="new-password", required=True)
        case kind:
            return text_field(
                name, one.label, hint=one.hint, value=one.value, type=kind, autocomplete="off", required=True,
                maxlength=254,
            )  # fmt: skip
