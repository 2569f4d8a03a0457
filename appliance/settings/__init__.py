"""Settings: each declared once in ``sections``, found by ``load``, explained by ``reference``.

This is the only package that reads the environment or a settings file. Everybody else is handed values.
"""

from appliance.settings.load import Loaded, load, resolve
from appliance.settings.sections import (
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
    "Auth",
    "Bronze",
    "Database",
    "Egress",
    "Ingest",
    "Loaded",
    "Log",
    "LogFormat",
    "LogLevel",
    "NodeRole",
    "Server",
    "Settings",
    "Silver",
    "load",
    "resolve",
]
