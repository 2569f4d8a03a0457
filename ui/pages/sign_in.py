"""Signing in: by password, or on the word of a provider."""

from urllib.parse import urlencode

from starlette.requests import Request

from appliance.services.provider_sign_in import Offer
from ui.markup import button, icon, link_button, node
from ui.provider_doors import BEGIN, words_of
from ui.screens import Screens
from ui.session import local_path
from ui.widgets.form import password_field, text_field


def register(screens: Screens) -> None:
    """Register ``/sign-in``."""

    @screens.open_page("/sign-in", "Sign in", before_setup=False)
    async def sign_in(request: Request) -> None:
        wanted = urlencode({"next": local_path(request.query_params.get("next", "/"))})
        offers = await screens.services.provider_sign_in.offers()
        with node("div", css="sheet"):
            with node("form", css="form", data_live="sign-in", action=f"/ui/sign-in?{wanted}", method="post"):
                with node("div"):
                    node("h1", "Sign in")
                    node("p", "to the pipelines and dashboards of this appliance", "muted")
                _refusal(words_of(request.query_params.get("refused", "")))
                node("div", "", "form-error", role="alert")
                text_field(
                    "email", "E-mail address", type="email", autocomplete="username", required=True, autofocus=True
                )
                password_field("password", "Password", autocomplete="current-password", required=True)
                button("Sign in", "primary wide", type="submit")
            _providers(offers, wanted)


def _refusal(words: str | None) -> None:
    if words is not None:
        with node("div", css="callout bad", role="alert"):
            icon("alert")
            node("p", words, "grow")


def _providers(offers: list[Offer], wanted: str) -> None:
    if not offers:
        return
    node("p", "or", "divider", aria_hidden="true")
    with node("div", css="stack tight"):
        for offer in offers:
            where = f" at {offer.host}" if offer.host else ""
            link_button(f"Sign in with {offer.name}{where}", f"{BEGIN}/{offer.id}?{wanted}", "wide", glyph="key")
