"""The form of a provider: how it is reached, who comes in by it, and as what."""

from functools import partial
from typing import Any, Final

from appliance.domain.access import Principal
from appliance.errors import Invalid, Problem
from appliance.services.provider_documents import ProviderView
from ui.markup import button, node, on, on_value
from ui.provider_draft import document_of, values_of
from ui.session import Visit
from ui.toast import go
from ui.widgets.card import card
from ui.widgets.form import Field, area_field, check, password_field, select_field, text_field
from ui.widgets.problem_list import problem_list

OTHERWISE: Final = (
    ("viewer", "Viewer: reads data and dashboards"),
    ("editor", "Editor: also changes pipelines and dashboards"),
    ("admin", "Administrator: everything"),
    ("refuse", "Nothing: they are refused"),
)
_REACHED: Final = (
    ("name", "Name", "The button says Sign in with, and this."),
    ("issuer", "Issuer", "As it calls itself, character by character."),
    ("client_id", "Client ID", "How the provider knows this appliance."),
)
_COMING: Final = (
    ("create_users", "Make a user of whoever comes for the first time", "They count against the licence's users."),
    (
        "link_users",
        "Whoever comes with the verified address of a user is that user",
        "Then the provider can let anybody in as any user of this organisation, administrators too.",
    ),
    (
        "trust_email",
        "Count addresses as verified where the provider does not say so",
        "Only where people cannot choose their address there. What it calls not verified never counts.",
    ),
    (
        "passwords",
        "People who come by it may use a password too",
        "If not: an administrator still may, while no other one has a password.",
    ),
    ("sign_out", "Signing out here signs out there too", "Where the provider offers it."),
)


class ProviderForm:
    """Everything about one provider, saved at once. ``locked``: why it cannot be, or None."""

    def __init__(self, visit: Visit, view: ProviderView, locked: str | None) -> None:
        self._visit, self._view, self._locked = visit, view, locked
        self._values = values_of(view)
        self._fields: dict[str, Field] = {}

    def draw(self) -> None:
        """Draw it."""
        with card("The provider"), node("div", css="form"):
            for name, label, hint in _REACHED:
                self._text(name, label, hint)
            secret = password_field(
                "client_secret", "Client secret", autocomplete="off",
                hint="Kept encrypted, and never shown again. Empty: a public client, proved by PKCE alone.",
            )  # fmt: skip
            secret.control.props[".value"] = self._values["client_secret"]
            self._follow("client_secret", secret)
            self._text("scopes", "Scopes", "Words with spaces between; openid is always asked for.")
        with card("Who comes in"), node("div", css="form"):
            self._check("enabled", "Offer it on the sign-in page", "")
            for name, label, hint in _COMING:
                self._check(name, label, hint)
            self._text("domains", "E-mail domains", "Such as example.org; several with spaces between. Empty: any.")
            self._text("email_claim", "Claim with the e-mail address", "email; preferred_username where it is there.")
        with card("As what"), node("div", css="form"):
            self._text("groups_claim", "Claim with the groups", "groups, roles, or a path such as realm_access.roles.")
            roles = area_field(
                "roles", "Roles of groups", rows=4, value=self._values["roles"],
                hint="A line for each: dash-administrators = admin. The highest counts, anew at each sign-in. "
                "Empty: roles are given here.",
            )  # fmt: skip
            roles.control.props["spellcheck"] = "false"
            self._follow("roles", roles)
            choice = select_field("otherwise", "Everybody else", OTHERWISE, value=self._values["otherwise"])
            self._follow("otherwise", choice)
        self._told = node("div")
        with node("div", css="form-foot"):
            save = button("Save", "primary", disabled=self._locked is not None)
        on(save, "click", self._visit.act(self._save, busy=save))

    def _text(self, name: str, label: str, hint: str) -> None:
        field = text_field(name, label, hint=hint, value=self._values[name], autocomplete="off", spellcheck="false")
        self._follow(name, field)

    def _follow(self, name: str, field: Field) -> None:
        self._fields[name] = field
        on_value(field.control, partial(self._values.__setitem__, name))

    def _check(self, name: str, label: str, hint: str) -> None:
        control = check(name, label, hint=hint, checked=self._values[name])
        on_value(control, partial(self._values.__setitem__, name), checked=True)

    async def _save(self, who: Principal) -> None:
        try:
            saved = await self._visit.services.providers.replace(who, self._view.id, document_of(self._values))
        except Invalid as error:
            self._complain(error.problems)
            return
        go(self._visit.client, f"/sign-in/providers/{saved.id}", f"{saved.name} is saved")

    def _complain(self, problems: Any) -> None:
        """Tell each problem at its field, and the others together."""
        by_field: dict[str, list[Problem]] = {}
        for problem in problems:
            by_field.setdefault(problem.pointer.split("/")[1] if problem.pointer else "", []).append(problem)
        for name, field in self._fields.items():
            told = [f"{one.message} ({one.hint})" if one.hint else one.message for one in by_field.pop(name, ())]
            field.complain("; ".join(told))
        self._told.clear()
        with self._told:
            problem_list([one for rest in by_field.values() for one in rest])
