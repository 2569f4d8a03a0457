"""``docs/reference/permissions.md``: which role permits what, and which requests need it."""

from typing import Final

from appliance.api.operations import Open
from appliance.domain.access import APPLIANCE, PERMITTED, Action, Role
from handbook.reference.api import routes

_ROLES: Final = (Role.VIEWER, Role.EDITOR, Role.ADMIN)
_HEAD: Final = """# Permissions

Generated from the code by `make docs`. A user and a token have one role in their organisation; a role permits actions.
What belongs to another organisation is not found, whatever the role. Actions marked with * are of the whole appliance:
only people and tokens of the organisation that operates it have them, see
[Organisations and people](../handbook/organisations.md). Services ask for the permission again: a screen,
the API and a command that talks to a running appliance are held to the same.

"""


def page() -> str:
    """Return the Markdown page."""
    head = "".join(f" {role.value} |" for role in _ROLES)
    lines = [_HEAD, f"| action |{head}\n|---|{'---|' * len(_ROLES)}\n"]
    for action in Action:
        marks = "".join(" yes |" if action in PERMITTED[role] else " |" for role in _ROLES)
        lines.append(f"| `{action.value}`{' *' if action in APPLIANCE else ''} |{marks}\n")
    found = list(routes())
    for action in (*Action, *Open):
        title = f"`{action.value}`" if isinstance(action, Action) else _OPEN[action]
        needing = [route for route in found if route.operation.access is action]
        lines.append(f"\n## {title}\n\n")
        lines += [f"- `{route.method} {route.path}`: {route.operation.summary}\n" for route in needing]
        if not needing:
            lines.append("No request of the API.\n")
    return "".join(lines)


_OPEN: Final = {Open.ANYBODY: "Anybody, also without signing in", Open.SIGNED_IN: "Anybody who is signed in"}
