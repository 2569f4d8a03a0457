"""Prints what an examination found."""

from collections.abc import Sequence
from typing import Any, Final

import click
import msgspec

from appliance.cli.answer import plain, say_json
from appliance.domain import handbook
from appliance.domain.finding import Examined

_SIGNS: Final = {"fine": "ok  ", "warning": "warn", "bad": "BAD "}


def say_findings(findings: Sequence[Examined], *, as_json: bool, intentions: Sequence[str] | None = None) -> None:
    """Print ``findings`` as text or JSON; ``intentions``: only in JSON, where it is more than findings."""
    if as_json:
        fine = not any(finding.state == "bad" for finding in findings)
        more = {} if intentions is None else {"intentions": intentions}
        say_json({"fine": fine, "findings": list(map(_told, findings)), **more})
        return
    for finding in findings:
        click.echo(f"{_SIGNS[finding.state]}  {plain(finding.about):<12} {plain(finding.message)}")
        if finding.remedy:
            click.echo(f"      {'':<12} -> {plain(finding.remedy)}")
            click.echo(f"      {'':<12} more: {handbook.of_finding(finding.about)}")


def _told(finding: Examined) -> dict[str, Any]:
    more = {"more": handbook.of_finding(finding.about)} if finding.remedy else {}
    return {**msgspec.to_builtins(finding), **more}
