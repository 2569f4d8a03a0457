"""One thing that an examination found."""

from typing import Literal

import msgspec


class Examined(msgspec.Struct, frozen=True, omit_defaults=True):
    """``remedy`` says what to do where the state is not fine."""

    about: str
    state: Literal["fine", "warning", "bad"]
    message: str
    remedy: str | None = None
