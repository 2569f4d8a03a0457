"""Which file format a request asks for: ``?format=`` wins over ``Accept``."""

from typing import Final

from appliance.errors import Invalid, Problem

JSON: Final = "application/json"
FORMATS: Final = {
    "json": JSON,
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}
SUFFIXES: Final = {media: name if name != "arrow" else "arrows" for name, media in FORMATS.items()}
_RANGES: Final = {"*/*": JSON, "application/*": JSON, "text/*": "text/csv"}


def wanted_media(format_name: str | None, accept: str | None) -> str:
    """Return the media type to answer with; JSON where ``accept`` asks for nothing we have.

    Raises:
        Invalid: there is no such format.
    """
    if format_name is not None:
        if format_name not in FORMATS:
            told = f"there is no format {format_name!r}"
            raise Invalid([Problem("/format", told, f"known: {', '.join(FORMATS)}")])
        return FORMATS[format_name]
    best, best_weight = JSON, 0.0
    for entry in (accept or "").split(","):
        name, _, rest = entry.strip().partition(";")
        media, weight = _known(name.strip().lower()), _weight(rest)
        if media is not None and weight > best_weight:
            best, best_weight = media, weight
    return best


def _known(media: str) -> str | None:
    return media if media in SUFFIXES else _RANGES.get(media)


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
