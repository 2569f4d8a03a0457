"""Whether whoever asks is still there when what they asked for is saved: a request may wait, or take a while."""

from sqlalchemy.orm import Session

from appliance.domain.access import Principal
from appliance.errors import Unauthenticated
from appliance.storage.control.tables import TokenRow, UserRow


def check_acts(tx: Session, who: Principal) -> None:
    """Return unless ``who`` was removed, disabled or revoked since the request came.

    Asked where something is made that acts on by itself: people, tokens, pipelines. An organisation that is deleted
    gets none of them any more, for nobody could delete it then.

    Raises:
        Unauthenticated: it was.
    """
    user = tx.get(UserRow, who.user_id) if who.user_id is not None else None
    token = tx.get(TokenRow, who.token_id) if who.token_id is not None else None
    gone = who.user_id is not None and (user is None or user.disabled_at is not None)
    if gone or (who.token_id is not None and (token is None or token.revoked_at is not None)):
        raise Unauthenticated(f"{who.name!r} was removed a moment ago, alone or with the organisation")
