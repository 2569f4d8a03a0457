"""A text that is not to be seen: not in a representation, and so not in a traceback or a log of what was configured."""

from appliance.observe.masking import MASK


class Secret(str):
    """Use it as the text it is where it is needed; never put it into a message."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)
