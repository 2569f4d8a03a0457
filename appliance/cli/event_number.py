"""The number of an event, as an argument of commands."""

from typing import Any, Final

import click

from appliance.domain.partition import understood


class EventNumber(click.ParamType[int]):
    """``42``; of partition 1 ``1:42``; or the whole number, as in JSON."""

    name = "event"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return understood(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


EVENT: Final = EventNumber()
