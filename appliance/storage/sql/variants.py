"""Values that are none of their column's type any more, noted beside it in ``_extra``. SQL of DuckDB."""

from collections.abc import Sequence

from appliance.storage.sql.carried import Carried
from appliance.storage.sql.dialect import DuckDb


def extra_with_variants(values: Sequence[Carried]) -> str:
    """Return SQL for ``_extra`` with the values beside it that are none of their column's type now."""
    dialect = DuckDb()
    members = [
        f"CASE WHEN {dialect.render(one.misfit)}"
        f" THEN CAST(to_json({_text(one.name)}) AS VARCHAR) || ':' ||"
        f" CAST(to_json({dialect.render(one.former)}) AS VARCHAR) END"
        for one in values
        if one.misfit is not None and one.former is not None
    ]
    if not members:
        return "_extra"
    noted = f"concat_ws(',', {', '.join(members)})"
    variant = f"'\"_variant\":{{' || {noted} || '}}}}'"
    return (
        f"CASE WHEN {noted} = '' THEN _extra"
        f" WHEN _extra IS NULL OR starts_with(_extra, '{{')"
        f" THEN json_merge_patch(coalesce(_extra, '{{}}'), '{{' || {variant})"
        f" ELSE '{{\"_rest\":' || _extra || ',' || {variant} END"
    )


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
