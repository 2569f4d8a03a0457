"""What time it is: on a database that several nodes share its clock counts, and nobody's own."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from appliance.domain.clock import Clock


def moment(tx: Session, clock: Clock) -> datetime:
    """Return the present instant by the database's clock; by ``clock`` where the database is this very process."""
    if tx.get_bind().dialect.name == "sqlite":
        return clock()
    now: datetime = tx.execute(select(func.clock_timestamp())).scalar_one()
    return now
