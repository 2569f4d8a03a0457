"""Mappings: from the document that a user writes to typed rows and dead letters.

``check`` finds what is wrong with a mapping, ``compile_mapping`` writes its one DuckDB query, ``Mapper`` runs it over
frames. Nothing here knows where events come from or where rows go, and nothing loops over records in Python.

How a mapping is read (the handbook page ``mapping.md`` tells it with examples):

- Names in ``expr``, ``where`` and ``key`` are fields (in any case of letters), ``_time``, or else the event's top-level
  keys, read as numbers where they are used as numbers, as true or false where they are conditions, else as text. A
  value that is there and not readable so makes the event a dead letter.
- ``where`` comes first: an event that it excludes is filtered even if other fields are wrong. If what ``where`` itself
  needs cannot be read, the event is dead. Unknown (NULL) counts as no.
- An expression that fails on an event's values (overflow, a conversion, a result that is not finite) makes that event a
  dead letter with the reason ``expr``; NULL in gives NULL out.
- An event with a top-level key twice is a dead letter; in objects further down the first of equal keys counts.
"""

from appliance.mapping.comparison import compare
from appliance.mapping.compiled import CompiledMapping, check, compile_mapping
from appliance.mapping.mapper import Mapper
from appliance.mapping.suggestion import suggest

__all__ = ["CompiledMapping", "Mapper", "check", "compare", "compile_mapping", "suggest"]
