"""What settings demand of each other."""

from collections.abc import Iterator

from appliance.components.archive import parse_place
from appliance.errors import Problem
from appliance.settings.object_storage import ObjectStorage
from appliance.settings.sections import NodeRole, Settings


def contradictions(settings: Settings) -> Iterator[Problem]:
    """Yield what cannot be meant."""
    yield from _role(settings)
    yield from _bucket("archive", "an S3 archive", settings.archive)
    yield from _bucket("backup", "a bucket for backups", settings.backup)


def _role(settings: Settings) -> Iterator[Problem]:
    role = settings.server.role
    if role is not NodeRole.ALL and settings.database.url is None:
        told = f"a node that is {role.value!r} only meets the others in a database, and none is set"
        yield Problem("server.role", told, hint="set database.url, or take the role 'all'")


def _bucket(section: str, what: str, it: ObjectStorage) -> Iterator[Problem]:
    if it.url is None or not parse_place(it.url).bucket:
        return
    keys = (it.access_key, it.secret_key)
    if it.credentials_file is not None and any(keys):
        told = "a file and a key are both given, and only one can count"
        hint = f"remove it, or {section}.access_key and {section}.secret_key"
        yield Problem(f"{section}.credentials_file", told, hint=hint)
    elif it.credentials_file is None and not all(keys):
        told = f"{what} needs a key of its own: nothing is taken from the environment or the machine"
        hint = f"set {section}.access_key and {section}.secret_key, or {section}.credentials_file"
        yield Problem(f"{section}.secret_key" if keys[0] else f"{section}.access_key", told, hint=hint)
