"""What a mapping's contract makes of its checks: a dead letter, the end of refining, or nothing but a note.

Whatever the contract, an event is a dead letter if it lacks what no row can do without: a required field, a part of the
key, its own time, what ``where`` needs, or a value within its bounds. A contract speaks of the rest: values that are
not of their type, and fields that the mapping does not know.
"""

from dataclasses import replace

from appliance.domain.mapping import Contract
from appliance.mapping.answers import LENIENT
from appliance.mapping.checks import Check, excused
from appliance.mapping.plan import Plan

_DRIFT = frozenset({"type", "unmapped"})  # reasons


def judged(plan: Plan, found: list[Check]) -> tuple[list[Check], list[Check]]:
    """Return the checks among ``found`` that end an event (or refining), and those that are only noted."""
    contract = plan.contract
    if contract is None:
        return excused(found, plan), []
    kept = plan.indispensable
    drifting = [check for check in found if check.reason in _DRIFT and check.column not in kept]
    others = [check for check in found if check not in drifting]
    if contract in LENIENT:
        return excused(others, plan), drifting
    frozen = contract is Contract.FREEZE
    told = [replace(check, reason="contract", drift=frozen) for check in drifting]
    return excused([*others, *told], plan), []
