"""Shows settings to people: the reference page, and the effective values with their origins."""

from typing import Any

import msgspec

from appliance.settings.chosen import CHOSEN_FILE
from appliance.settings.declared import Declared, declared
from appliance.settings.load import FILE_NAME, SYSTEM_FILE, Loaded
from appliance.settings.sections import Settings

_HEAD = f"""# Settings

Generated from the declarations by `make docs`; `dash-appliance config reference` prints the same.

A value is looked for in this order: the flag of the command, the environment, systemd's credentials, the settings file,
what the set-up wizard wrote (`{CHOSEN_FILE}` in the data directory), the default. A credential is called like its
setting (`LoadCredential=database.url:…`). The settings file is the one named by `--config`, else
`{FILE_NAME}` in the data directory, else `{SYSTEM_FILE}`.
Sizes and durations carry their unit (`64 MiB`, `1h30m`). A list is a TOML array in the file, and separated by commas in
the environment. A name that Dash does not know is an error. `dash-appliance config show` tells what is in force and
where it comes from; `dash-appliance check` lists everything that is wrong.

```toml
[server]
host = "0.0.0.0"
base_url = "https://dash.example.org"

[bronze]
segment_size = "128 MiB"
```
"""


def reference() -> str:
    """Return the Markdown page of every setting."""
    parts = [_HEAD]
    sections = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    for section, kind in sections.items():
        parts.append(f"## {section}\n\n{(kind.__doc__ or '').strip()}\n")
        parts += [_entry(one) for one in declared() if one.section == section]
    return "\n".join(parts)


def effective(loaded: Loaded) -> list[dict[str, str]]:
    """Return each setting as ``{"key", "value", "origin"}``, values as they would be written."""
    rows = []
    for one in declared():
        value: Any = getattr(getattr(loaded.settings, one.section), one.name)
        rows.append({"key": one.key, "value": one.show(value), "origin": loaded.origins[one.key]})
    return rows


def _entry(one: Declared) -> str:
    facts = [f"environment `{one.variable}`", f"default {_default(one)}"]
    if one.least is not None or one.most is not None:
        facts.append(f"from `{one.least}` to `{one.most}`")
    if one.choices:
        facts.append("one of " + ", ".join(f"`{choice}`" for choice in one.choices))
    return f"### `{one.key}`\n\n{one.description}\n\n" + " · ".join(facts) + "\n"


def _default(one: Declared) -> str:
    if one.default is msgspec.NODEFAULT:
        return "found out at start"
    shown = one.show(one.default)
    return f"`{shown}`" if shown else "none"
