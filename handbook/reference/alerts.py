"""``docs/reference/alerts.md``: every alert that Dash declares for itself, and where the runbook explains it."""

from typing import Final

from appliance.observe.alert_rules import ALERTS

_HEAD: Final = """# Alerts

Generated from the declarations by `make docs`. `dash-appliance monitoring rules` prints them as a file for Prometheus.
What the severities mean is in [incidents](../handbook/incidents.md#severities).
"""


def page() -> str:
    """Return the Markdown page."""
    parts = [_HEAD]
    for one in ALERTS:
        summary = one.summary.replace("{{ ", "").replace(" }}", "")
        parts.append(
            f"\n## {one.name}\n\n**{one.severity}**, when it has lasted {one.lasts}: {summary}.\n\n"
            f"```promql\n{one.expr}\n```\n\n"
            f"Remedy: {one.remedy}. More in the [runbook](../handbook/runbook.md#{one.page}).\n"
        )
    return "".join(parts)
