"""Everything wrong with a document, each with its place and what to do."""

from collections.abc import Sequence

from appliance.errors import Problem
from ui.markup import icon, node
from ui.toast import sentence


def problem_list(problems: Sequence[Problem]) -> None:
    """Draw the problems; nothing for none."""
    if not problems:
        return
    with node("ul", css="problems", role="alert"):
        for problem in problems:
            with node("li", css="problem"):
                icon("alert")
                said, _, place = problem.message.partition("\n")
                node("span", sentence(said))
                if place:  # the formula, with marks under what is wrong
                    node("pre", place)
                if problem.pointer:
                    node("code", problem.pointer)
                if problem.hint:
                    node("span", problem.hint, "hint")
