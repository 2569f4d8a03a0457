"""Who may do what: roles, the actions they permit, and the principal that asks."""

from enum import Enum

import msgspec

from appliance.domain.ids import OrganisationId, TokenId, UserId
from appliance.errors import Forbidden, UnderMaintenance


class Action(Enum):
    """A permission. Every use case names the one it needs."""

    PIPELINE_READ = "pipeline.read"
    PIPELINE_WRITE = "pipeline.write"
    DATA_READ = "data.read"
    DASHBOARD_READ = "dashboard.read"
    DASHBOARD_WRITE = "dashboard.write"
    TOKEN_MANAGE = "token.manage"  # noqa: S105 - the name of a permission
    USER_MANAGE = "user.manage"
    AUDIT_READ = "audit.read"
    SETTINGS_READ = "settings.read"
    STORAGE_MANAGE = "storage.manage"
    BACKUP_READ = "backup.read"
    BACKUP_MANAGE = "backup.manage"
    DATA_ERASE = "data.erase"
    JOB_READ = "job.read"
    JOB_MANAGE = "job.manage"
    NODE_READ = "node.read"
    NODE_MANAGE = "node.manage"
    LICENSE_READ = "license.read"
    LICENSE_REQUEST = "license.request"
    LICENSE_MANAGE = "license.manage"
    BRANDING_MANAGE = "branding.manage"
    OPERATIONS_READ = "operations.read"
    OPERATIONS_MANAGE = "operations.manage"
    ORGANISATION_MANAGE = "organisation.manage"


CHANGES = frozenset(one for one in Action if not one.value.endswith(".read"))


class Role(Enum):
    """A person's or a token's place in an organisation."""

    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"


_VIEWER = frozenset({Action.PIPELINE_READ, Action.DATA_READ, Action.DASHBOARD_READ})
_EDITOR = _VIEWER | {
    Action.PIPELINE_WRITE,
    Action.DASHBOARD_WRITE,
    Action.JOB_READ,
    Action.NODE_READ,
    Action.LICENSE_READ,
    Action.LICENSE_REQUEST,
}
PERMITTED: dict[Role, frozenset[Action]] = {
    Role.VIEWER: _VIEWER,
    Role.EDITOR: _EDITOR,
    Role.ADMIN: frozenset(Action),
}
# What is of the whole appliance: for the organisation that operates it alone, whatever role somebody has in another.
APPLIANCE = frozenset(
    {
        Action.SETTINGS_READ,
        Action.BACKUP_READ,
        Action.BACKUP_MANAGE,
        Action.NODE_READ,
        Action.NODE_MANAGE,
        Action.LICENSE_REQUEST,
        Action.LICENSE_MANAGE,
        Action.BRANDING_MANAGE,
        Action.OPERATIONS_READ,
        Action.OPERATIONS_MANAGE,
        Action.ORGANISATION_MANAGE,
    }
)


class Held(msgspec.Struct, frozen=True):
    """Changes wait: why, in one sentence, and after how many seconds to ask again."""

    told: str
    retry_after_secs: float


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who has proved who they are: a user by session, or a token.

    ``operates``: their organisation is the one that runs the appliance for all.
    """

    organisation_id: OrganisationId
    role: Role
    name: str  # e-mail address of the user, or the token's name
    user_id: UserId | None = None
    token_id: TokenId | None = None
    operates: bool = False
    held: Held | None = None  # not None: what they may change waits


def may(who: Principal, action: Action) -> bool:
    """Return whether role and organisation of ``who`` permit ``action``."""
    return action in PERMITTED[who.role] and (who.operates or action not in APPLIANCE)


def actions_of(who: Principal) -> list[Action]:
    """Return everything that ``who`` may do, by name."""
    return sorted((one for one in Action if may(who, one)), key=lambda one: one.value)


def require(who: Principal, action: Action) -> None:
    """Return if ``who`` may do ``action``.

    Raises:
        Forbidden: the role does not permit it, and the message names the least role that does; or it is of the whole
            appliance, and ``who`` of an organisation that does not operate it.
        UnderMaintenance: it does, and changes wait.
    """
    if may(who, action):
        if who.held is not None and action in CHANGES:
            told = f"changes wait, {who.held.told} (an administrator may go on)"
            raise UnderMaintenance(told, who.held.retry_after_secs)
        return
    if not who.operates and action in APPLIANCE:
        raise Forbidden(
            f"{action.value} is of the whole appliance and {who.name!r} of an organisation that does not operate it: "
            f"ask whoever runs this appliance"
        )
    least = next(role for role in (Role.VIEWER, Role.EDITOR, Role.ADMIN) if action in PERMITTED[role])
    raise Forbidden(
        f"{action.value} needs the role {least.value!r} and {who.name!r} has {who.role.value!r}: "
        f"ask an administrator of the organisation for it"
    )
