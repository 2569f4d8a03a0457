"""A text that is not to be seen: not in a representation, and so not in a traceback or a log of what was configured."""

from typing import Self

from appliance.observe.masking import MASK, conceal


class Secret(str):
    """Use it as the text it is where it is needed; never put it into a message."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        conceal(text)
        return super().__new__(cls, text)

    def __repr__(self) -> str:
        return repr(MASK)
