"""The file formats that rows can be had in."""

from enum import Enum

from appliance.errors import UnsupportedMedia


class Format(Enum):
    """Named by media type, as ``Accept`` asks for it."""

    JSON = "application/json"
    NDJSON = "application/x-ndjson"
    CSV = "text/csv"
    PARQUET = "application/vnd.apache.parquet"
    ARROW = "application/vnd.apache.arrow.stream"

    @property
    def suffix(self) -> str:
        """Return the file name's ending, with its dot."""
        return {Format.PARQUET: ".parquet", Format.ARROW: ".arrows"}.get(self, f".{self.name.lower()}")

    @classmethod
    def of(cls, media_type: str) -> "Format":
        """Return the format; parameters such as ``charset`` are passed over. Raises UnsupportedMedia."""
        try:
            return cls(media_type.split(";", 1)[0].strip().lower())
        except ValueError:
            known = ", ".join(one.value for one in cls)
            raise UnsupportedMedia(f"Exporting rows as {media_type!r}: no such format; there are {known}.") from None
