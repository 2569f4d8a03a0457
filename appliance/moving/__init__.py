"""Moving a stopped appliance between its data directory and a database: rows first, compared; then the control plane.

Whoever starts an appliance finds people in the one place or in the other, never in both and never half of them: the
control plane is moved last, in one step (decision 0025).
"""

from appliance.moving.control import Move, Place, move, name_of
from appliance.moving.leftover import Leftover
from appliance.moving.order import RATES, Moved, Order, Plan, carry_out, plan
from appliance.moving.progress import Step

__all__ = [
    "RATES",
    "Leftover",
    "Move",
    "Moved",
    "Order",
    "Place",
    "Plan",
    "Step",
    "carry_out",
    "move",
    "name_of",
    "plan",
]
