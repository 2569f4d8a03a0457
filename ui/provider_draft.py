"""A provider while somebody fills in its form: fields of text made of a document, and a document made of them."""

from typing import Any, Final

from appliance.services.provider_documents import ProviderView

TEXTS: Final = ("name", "issuer", "client_id", "client_secret", "email_claim", "groups_claim", "otherwise")
LISTS: Final = ("scopes", "domains")  # words, with spaces or commas between
SWITCHES: Final = ("trust_email", "create_users", "link_users", "passwords", "sign_out", "enabled")


def values_of(view: ProviderView) -> dict[str, Any]:
    """Return what the form shows."""
    values: dict[str, Any] = {name: getattr(view, name) for name in (*TEXTS, *SWITCHES)}
    values["otherwise"] = view.otherwise.value
    values |= {name: " ".join(getattr(view, name)) for name in LISTS}
    values["roles"] = "\n".join(f"{one.group} = {one.role.value}" for one in view.roles)
    return values


def document_of(values: dict[str, Any]) -> dict[str, Any]:
    """Return what is saved; a line that names no role is left to be found wrong, with its place."""
    document = {name: values[name].strip() for name in TEXTS if name != "client_secret"}
    document["client_secret"] = values["client_secret"]
    document |= {name: values[name] for name in SWITCHES}
    document |= {name: values[name].replace(",", " ").split() for name in LISTS}
    return document | {"roles": [_role(line) for line in values["roles"].splitlines() if line.strip()]}


def _role(line: str) -> dict[str, str]:
    group, _, role = line.rpartition("=")
    return {"group": group.strip(), "role": role.strip().lower()}
