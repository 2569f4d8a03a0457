"""Settings: each declared once in ``sections``, found by ``load``, explained by ``reference``.

This is the only package that reads the environment or a settings file. Everybody else is handed values.
"""

from appliance.settings.backup_section import Backup
from appliance.settings.load import Loaded, load, resolve
from appliance.settings.object_storage import Addressing, ObjectStorage
from appliance.settings.sections import (
    Archive,
    Auth,
    Bronze,
    Database,
    Egress,
    Ingest,
    Log,
    LogFormat,
    LogLevel,
    NodeRole,
    Server,
    Settings,
    Silver,
)

__all__ = [
    "Addressing",
    "Archive",
    "Auth",
    "Backup",
    "Bronze",
    "Database",
    "Egress",
    "Ingest",
    "Loaded",
    "Log",
    "LogFormat",
    "LogLevel",
    "NodeRole",
    "ObjectStorage",
    "Server",
    "Settings",
    "Silver",
    "load",
    "resolve",
]
