"""What settings demand of each other."""

from collections.abc import Iterator

from appliance.components.archive import parse_place
from appliance.errors import Problem
from appliance.settings.sections import Archive, NodeRole, Settings


def contradictions(settings: Settings) -> Iterator[Problem]:
    """Yield what cannot be meant."""
    yield from _role(settings)
    yield from _archive(settings.archive)


def _role(settings: Settings) -> Iterator[Problem]:
    role = settings.server.role
    if role is not NodeRole.ALL and settings.database.url is None:
        told = f"a node that is {role.value!r} only meets the others in a database, and none is set"
        yield Problem("server.role", told, hint="set database.url, or take the role 'all'")


def _archive(archive: Archive) -> Iterator[Problem]:
    if archive.url is None or not parse_place(archive.url).bucket:
        return
    keys = (archive.access_key, archive.secret_key)
    if archive.credentials_file is not None and any(keys):
        told = "a file and a key are both given, and only one can count"
        yield Problem("archive.credentials_file", told, hint="remove it, or archive.access_key and archive.secret_key")
    elif archive.credentials_file is None and not all(keys):
        told = "an S3 archive needs a key of its own: nothing is taken from the environment or the machine"
        hint = "set archive.access_key and archive.secret_key, or archive.credentials_file"
        yield Problem("archive.secret_key" if keys[0] else "archive.access_key", told, hint=hint)
