"""SQL for ``_extra`` under a lenient contract: what no column holds, and under ``_variant`` the values that do not fit.

``{"fw": "1.2", "_variant": {"temp_c": "hot"}}``: the field's name and the JSON value as it came. A member that the
event itself calls ``_variant`` moves inside, where it cannot be mistaken; where what is left is no object (an array of
which places are read) it stands under ``_rest``.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.mapping import sql
from appliance.mapping.leftover import key_text

VARIANT = "_variant"
_REST = "_rest"


@dataclass(frozen=True)
class Misfit:
    """A value that may not fit: ``condition`` and ``value`` (JSON) are SQL."""

    name: str
    condition: str
    value: str


def variant(misfits: Iterable[Misfit], when: str) -> str:
    """Return SQL for the object of all misfits, NULL where there is none; ``when``: SQL for whether to ask at all."""
    found = list(misfits)
    if not found:
        return "CAST(NULL AS VARCHAR)"
    # The values are looked up only where one does not fit: an ordinary event costs nothing.
    members = ", ".join(
        f"CASE WHEN {one.condition} THEN {key_text(one.name)} || CAST({one.value} AS VARCHAR) END" for one in found
    )
    some = sql.any_of(one.condition for one in found)
    return f"CASE WHEN {when} AND {some} THEN '{{' || concat_ws(',', {members}) || '}}' END"


def extra(rest: str | None, noted: str) -> str:
    """Return SQL for ``rest`` (SQL name of JSON text; None: forgotten) with ``noted``, the misfits, beside it."""
    alone = f"'{{' || {key_text(VARIANT)} || {noted} || '}}'"
    if rest is None:
        return f"CASE WHEN {noted} IS NOT NULL THEN {alone} END"
    own = sql.text(f"/{VARIANT}")
    removed = sql.text(f'{{"{VARIANT}":null}}')
    others = f"nullif(CAST(json_merge_patch({rest}, {removed}) AS VARCHAR)[2:-2], '')"
    inside = f"{noted}[:-2] || ',' || {key_text(VARIANT)} || CAST(json_extract({rest}, {own}) AS VARCHAR) || '}}'"
    return (
        f"CASE WHEN {noted} IS NULL THEN {rest} WHEN {rest} IS NULL THEN {alone}"
        f" WHEN NOT starts_with({rest}, '{{')"
        f" THEN '{{' || {key_text(_REST)} || {rest} || ',' || {key_text(VARIANT)} || {noted} || '}}'"
        f" WHEN json_exists({rest}, {own})"
        f" THEN '{{' || concat_ws(',', {others}, {key_text(VARIANT)} || {inside}) || '}}'"
        f" ELSE {rest}[:-2] || ',' || {key_text(VARIANT)} || {noted} || '}}' END"
    )
