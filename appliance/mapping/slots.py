"""Which places of an event the query reads, and where in it each one's text or JSON is found."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from appliance.mapping import sql
from appliance.mapping.path import Path


@dataclass
class Slots:
    """The places read in one JSON document; all texts come from one call, all JSON values from another.

    ``texts`` and ``jsons`` are the SQL names of the two lists, ``prefix`` begins the SQL names of their unpacked parts.
    """

    texts: str
    jsons: str
    prefix: str
    _text_places: dict[str, int] = field(default_factory=dict)
    _json_places: dict[str, int] = field(default_factory=dict)

    def text(self, path: Path) -> str:
        """Return the SQL name of the text at ``path``."""
        return f"{self.prefix}{self._text_places.setdefault(path.pointer, len(self._text_places))}"

    def json(self, path: Path) -> str:
        """Return SQL for the JSON at ``path``; JSON null is JSON, a missing value is NULL."""
        return f"{self.jsons}[{self._json_places.setdefault(path.pointer, len(self._json_places)) + 1}]"

    def sources(self, paths: Iterable[Path]) -> Iterable[str]:
        """Yield SQL for what was read at those of ``paths`` that are read, texts and JSON."""
        for path in paths:
            for places, found in ((self._text_places, self.texts), (self._json_places, self.jsons)):
                if path.pointer in places:
                    yield f"{found}[{places[path.pointer] + 1}]"

    def reading(self, document: str) -> Iterable[str]:
        """Yield the selections that read ``document``, SQL for JSON text; NULL where it is not JSON."""
        # One text is always read: that is how a document that is not JSON is noticed.
        yield f"TRY(json_extract_string({document}, {sql.texts(self._text_places or ['/'])})) AS {self.texts}"
        if self._json_places:
            yield f"TRY(json_extract({document}, {sql.texts(self._json_places)})) AS {self.jsons}"

    def unpacking(self) -> Iterable[str]:
        """Yield the selections that give each text its name."""
        for place in self._text_places.values():
            yield f"{self.texts}[{place + 1}] AS {self.prefix}{place}"
