"""Everything wrong with a document, each with its place and what to do."""

from collections.abc import Sequence

from appliance.errors import Problem
from ui.markup import icon, node


def problem_list(problems: Sequence[Problem]) -> None:
    """Draw the problems; nothing for none."""
    if not problems:
        return
    with node("ul", css="problems", role="alert"):
        for problem in problems:
            with node("li", css="problem"):
                icon("alert")
                node("span", problem.message)
                if problem.pointer:
                    node("code", problem.pointer)
                if problem.hint:
                    node("span", problem.hint, "hint")
