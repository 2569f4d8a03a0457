"""Signing in."""

from starlette.requests import Request

from ui.markup import button, node
from ui.screens import Screens
from ui.widgets.form import password_field, text_field


def register(screens: Screens) -> None:
    """Register ``/sign-in``."""

    @screens.open_page("/sign-in", "Sign in", before_setup=False)
    async def sign_in(request: Request) -> None:
        query = f"?{request.url.query}" if request.url.query else ""
        with node("form", css="sheet form", data_live="sign-in", action=f"/ui/sign-in{query}", method="post"):
            with node("div"):
                node("h1", "Sign in")
                node("p", "to the pipelines and dashboards of this appliance", "muted")
            node("div", "", "form-error", role="alert")
            text_field("email", "E-mail address", type="email", autocomplete="username", required=True, autofocus=True)
            password_field("password", "Password", autocomplete="current-password", required=True)
            button("Sign in", "primary wide", type="submit")
