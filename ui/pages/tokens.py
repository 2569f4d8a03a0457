"""API tokens: created (shown once), recognised by their beginning, revoked."""

from datetime import UTC, datetime, timedelta
from functools import partial

from nicegui.element import Element

from appliance.domain.access import Action, Principal, Role, require
from appliance.domain.ids import TokenId
from appliance.errors import Invalid
from appliance.services.views import CreatedToken, TokenInfo
from ui.frame import Place
from ui.markup import button, node, on, on_value
from ui.screens import Screens
from ui.session import Visit
from ui.toast import toast
from ui.widgets.card import card
from ui.widgets.code_block import code_block, secret_line
from ui.widgets.dialog import dialog, show
from ui.widgets.empty import notice
from ui.widgets.figures import moment
from ui.widgets.form import select_field, text_field
from ui.widgets.head import page_head

LIFETIMES = (("", "Never"), ("7", "In 7 days"), ("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year"))
ROLES = (
    (Role.VIEWER.value, "Viewer: reads data and dashboards"),
    (Role.EDITOR.value, "Editor: also changes pipelines and dashboards"),
    (Role.ADMIN.value, "Administrator: everything"),
)


def register(screens: Screens) -> None:
    """Register ``/tokens``."""

    @screens.page("/tokens", Place("API tokens", "tokens", "api"))
    async def tokens(visit: Visit) -> None:
        require(visit.who, Action.TOKEN_MANAGE)
        await TokensPage(visit).draw()


class TokensPage:
    """The list of tokens and the dialog that makes one."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._values = {"name": "", "role": Role.VIEWER.value, "days": "90"}
        with (
            page_head(
                "API tokens", "Programs use them in place of a password: Authorization: Bearer dash_…"
            ) as actions,
            actions,
        ):
            new = button("New token", "primary", glyph="plus")
        self._box = self._dialog()
        with node("div", css="stack"):
            self._made = node("div")
            self._list = node("div")
        on(new, "click", lambda _: show(self._box))

    def _dialog(self) -> Element:
        with dialog("New token") as box, node("form") as form:
            with node("div", css="dialog-body"):
                name = text_field(
                    "name", "Name", hint="What will use it.", placeholder="grafana", required=True, maxlength=100
                )
                role = select_field("role", "Role", ROLES, value=self._values["role"])
                days = select_field("days", "Expires", LIFETIMES, value=self._values["days"])
            with node("div", css="dialog-foot"):
                button("Cancel", data_close="")
                create = button("Create token", "primary", type="submit")
        for key, field in (("name", name), ("role", role), ("days", days)):
            on_value(field.control, partial(self._values.__setitem__, key))
        self._name = name
        form.on("submit.prevent", self._visit.act(self._create, busy=create), args=[])
        return box

    async def _create(self, who: Principal) -> None:
        days = self._values["days"]
        expires = datetime.now(UTC) + timedelta(days=int(days)) if days else None
        try:
            created = await self._visit.services.tokens.create(
                who, self._values["name"].strip(), Role(self._values["role"]), expires
            )
        except Invalid as error:
            self._name.complain("; ".join(problem.message for problem in error.problems))
            return
        self._visit.client.run_javascript(f"getHtmlElement({self._box.id}).close()")
        self._made.clear()
        with self._made:
            _shown_once(self._visit, created)
        await self.draw()

    async def draw(self) -> None:
        """Draw the list again."""
        page = await self._visit.services.tokens.list(self._visit.who, limit=200)
        alive = [token for token in page.items if not token.revoked]
        self._list.clear()
        with self._list, node("div", css="card"):
            if alive:
                self._table(alive)
            else:
                notice("key", "No tokens yet", "Create one for each program, so that each can be revoked by itself.")

    def _table(self, alive: list[TokenInfo]) -> None:
        with node("div", css="table-wrap"), node("table", css="table cards"):
            with node("thead"), node("tr"):
                for label in ("Name", "Token", "Role", "Created", "Last used", "Expires", ""):
                    node("th", label, scope="col")
            with node("tbody"):
                for token in alive:
                    self._row(token)

    def _row(self, token: TokenInfo) -> None:
        with node("tr"):
            node("td", token.name, "name first")
            node("td", f"{token.hint}…", "mono faint", data_label="Token")
            node("td", token.role.value, data_label="Role")
            for label, at in (("Created", token.created_at), ("Last used", token.last_used_at)):
                with node("td", data_label=label):
                    moment(at)
            with node("td", data_label="Expires"):
                moment(token.expires_at, "date")
            with node("td", css="num corner"):
                revoke = button("Revoke", "danger small")
        on(revoke, "click", self._visit.act(partial(self._revoke, token_id=token.id, name=token.name), busy=revoke))

    async def _revoke(self, who: Principal, token_id: TokenId, name: str) -> None:
        await self._visit.services.tokens.revoke(who, token_id)
        await self.draw()
        toast(self._visit.client, f"{name} is revoked: it is refused from now on")


def _shown_once(visit: Visit, created: CreatedToken) -> None:
    base = str(visit.request.base_url).rstrip("/")
    with card(f"Token {created.info.name}"), node("div", css="stack tight"):
        node("p", "Copy it now: it is not stored and cannot be shown again.", "muted")
        secret_line(created.token, "new-token")
        code_block(f"curl -sS {base}/api/v1/pipelines -H 'authorization: Bearer {created.token}'", "token-command")
