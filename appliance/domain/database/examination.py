"""What people are told of a database that was looked at."""

import msgspec

from appliance.domain.database.refusal import Part
from appliance.domain.finding import Examined


class Examination(msgspec.Struct, frozen=True, omit_defaults=True):
    """``refused``: the part of the DSN that is wrong; then there is one finding, and no intention."""

    findings: list[Examined]
    intentions: list[str] = []
    refused: Part | None = None

    @property
    def usable(self) -> bool:
        return all(one.state != "bad" for one in self.findings)
