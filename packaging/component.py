"""A part of the bundle that others have made."""

from dataclasses import dataclass, field


@dataclass
class Component:
    """``kind``: pypi, deb, npm, cargo or generic. ``texts``: licence texts by the name of their file.

    ``version`` is empty where nothing tells it. ``inside``: what is compiled or packed into it.
    """

    kind: str
    name: str
    version: str
    licence: str
    texts: dict[str, str] = field(default_factory=dict)
    inside: list["Component"] = field(default_factory=list)


def again(one: dict[str, object]) -> Component:
    """Return the component that ``dataclasses.asdict`` made into ``one``."""
    fields = dict(one)
    fields["inside"] = [again(inner) for inner in one["inside"]]  # type: ignore[attr-defined]
    return Component(**fields)  # type: ignore[arg-type]
