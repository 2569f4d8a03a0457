"""Prints what an examination found."""

from collections.abc import Sequence
from typing import Final

import click

from appliance.cli.answer import say_json
from appliance.domain.finding import Examined

_SIGNS: Final = {"fine": "ok  ", "warning": "warn", "bad": "BAD "}


def say_findings(findings: Sequence[Examined], *, as_json: bool, intentions: Sequence[str] | None = None) -> None:
    """Print ``findings`` as text or JSON; ``intentions``: only in JSON, where it is more than findings."""
    if as_json:
        fine = not any(finding.state == "bad" for finding in findings)
        more = {} if intentions is None else {"intentions": intentions}
        say_json({"fine": fine, "findings": findings, **more})
        return
    for finding in findings:
        click.echo(f"{_SIGNS[finding.state]}  {finding.about:<12} {finding.message}")
        if finding.remedy:
            click.echo(f"      {'':<12} -> {finding.remedy}")
