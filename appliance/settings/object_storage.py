"""How a place for objects is named and reached: the same for the archive and for backups."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import msgspec

from appliance.settings.secret import Secret
from appliance.settings.setting import setting


class Addressing(Enum):
    """Where the name of a bucket stands in an address."""

    PATH = "path"  # https://endpoint/bucket/key
    HOST = "host"  # https://bucket.endpoint/key


class ObjectStorage(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket or a folder. What is not set is not used: nothing is asked of the environment."""

    url: Annotated[
        str | None,
        setting(
            "`s3://bucket/prefix`, or `file:///mnt/folder` for a folder on another disk. Without it there is none.",
            kind="place",
        ),
    ] = None
    endpoint: Annotated[
        str | None, setting("Address of the object store. Without it: AWS, by the region.", kind="endpoint")
    ] = None
    region: Annotated[str, setting("Region of the bucket; what it is called matters to AWS only.")] = "us-east-1"
    addressing: Annotated[Addressing, setting("Where the bucket's name stands in an address.")] = Addressing.PATH
    access_key: Annotated[str | None, setting("Access key of the object store.")] = None
    secret_key: Annotated[Secret | None, setting("Its secret key.", kind="secret")] = None
    credentials_file: Annotated[
        Path | None,
        setting(
            "File with both in the form of `~/.aws/credentials`, section `[default]`, instead; read again every five "
            "minutes, so that keys can be rotated.",
        ),
    ] = None
    ca_file: Annotated[
        Path | None, setting("Certificates (PEM) to trust beside those of the system, for an endpoint of your own.")
    ] = None
