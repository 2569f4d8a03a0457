"""The person who is signed in: who they are, password, theme."""

from ui.frame import Place
from ui.markup import button, node
from ui.screens import Screens
from ui.session import Visit
from ui.widgets.card import card
from ui.widgets.form import password_field
from ui.widgets.head import page_head

ROLE_WORDS = {"admin": "Administrator", "editor": "Editor", "viewer": "Viewer"}


def register(screens: Screens) -> None:
    """Register ``/account``."""

    @screens.page("/account", Place("Account", "account"))
    async def account(visit: Visit) -> None:
        with page_head("Account"):
            pass
        with node("div", css="stack").style("max-width:560px"):
            with card("You"), node("dl", css="kv"):
                for term, text in (
                    ("Signed in as", visit.who.name),
                    ("Role", ROLE_WORDS[visit.who.role.value]),
                    ("Organisation", await _organisation(visit)),
                ):
                    node("dt", term)
                    node("dd", text)
            if await visit.services.sessions.has_password(visit.who):
                _password()
            with node("form", method="post", action="/ui/sign-out"):
                button("Sign out", glyph="exit", type="submit")


async def _organisation(visit: Visit) -> str:
    """Return its name, and where there are several, that it operates the appliance if it does."""
    if visit.who.operates and await visit.services.organisations.several():
        return f"{visit.organisation}, which operates this appliance"
    return visit.organisation


def _password() -> None:
    with card("Password"), node("form", css="form", data_live="password", action="/ui/password", method="post"):
        node("div", "", "form-error", role="alert")
        password_field("old", "Present password", autocomplete="current-password", required=True)
        with node("div", css="stack tight"):
            password_field(
                "new", "New password", autocomplete="new-password", required=True, minlength=12, data_strength=""
            )
            with node("div", css="strength", aria_hidden="true"):
                for _ in range(4):
                    node("i")
            hint = "At least 12 characters. Other devices are signed out."
            node("span", hint, "small faint", data_strength_text="", data_default=hint, aria_live="polite")
        with node("div"):
            button("Change the password", "primary", type="submit")
