"""Releases of Dash: the manifest inside a bundle, and the signature beside it. Installs nothing, and asks nobody."""

from appliance.release.manifest import Entry, Manifest
from appliance.release.verify import NotGenuine, pinned, unpack, verify

__all__ = ["Entry", "Manifest", "NotGenuine", "pinned", "unpack", "verify"]
