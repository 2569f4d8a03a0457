"""Which adapter a place is spoken to with. obstore is imported for a bucket only: it takes memory and time."""

from pathlib import Path

import msgspec

from appliance.components.archive import ArchiveStore, parse_place
from appliance.errors import ConfigError, Problem
from appliance.storage.archive.credentials import Credentials, credentials_from
from appliance.storage.archive.folder import FolderArchive


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How a bucket is reached. ``path_style``: its name stands in the path of an address, not in the host.

    ``section``: of the settings that say so, for whoever has to correct them.
    """

    endpoint: str | None = None
    region: str = "us-east-1"
    path_style: bool = True
    access_key: str | None = None
    secret_key: str | None = None
    credentials_file: Path | None = None
    ca_file: Path | None = None
    section: str = "archive"

    def __repr__(self) -> str:
        return f"Access({self.endpoint!r}, …)"


def open_store(url: str, access: Access) -> ArchiveStore:
    """Return the archive at ``url``, which ``parse_place`` understands; nothing is asked of it yet.

    Raises:
        ConfigError: a file that it needs cannot be read.
    """
    place = parse_place(url)
    if not place.bucket:
        return FolderArchive(Path(place.path))
    from appliance.storage.archive.s3 import Bucket, S3Archive

    fixed = None
    if access.access_key and access.secret_key:
        fixed = Credentials(access.access_key, str(access.secret_key))
    bucket = Bucket(
        name=place.bucket, prefix=place.path, endpoint=access.endpoint, region=access.region,
        path_style=access.path_style, ca=_certificates(access.ca_file, access.section), section=access.section,
    )  # fmt: skip
    return S3Archive(bucket, credentials_from(access.credentials_file, fixed))


def _certificates(path: Path | None, section: str) -> bytes | None:
    try:
        return path.read_bytes() if path is not None else None
    except OSError as error:
        told = f"the certificates cannot be read: {error.strerror}"
        raise ConfigError([Problem(f"{section}.ca_file", told, file=str(path))]) from error
