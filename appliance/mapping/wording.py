"""What DuckDB says, in the words of mappings."""

import re

import duckdb

_TYPE_NAMES = {
    "VARCHAR": "string", "DOUBLE": "float", "BIGINT": "integer", "INTEGER": "integer", "BOOLEAN": "boolean",
    "TIMESTAMP WITH TIME ZONE": "timestamp", "TIMESTAMP": "timestamp", "INTEGER_LITERAL": "integer",
    "STRING_LITERAL": "string", "HUGEINT": "integer", "FLOAT": "float",
}  # fmt: skip


def plain(text: str) -> str:
    """Return ``text`` with DuckDB's types under the names that mappings use."""
    text = re.sub(r"DECIMAL\(\d+,\s*\d+\)", "decimal", text)
    return re.sub(r"[A-Z][A-Z_]+(?: WITH TIME ZONE)?", lambda match: _TYPE_NAMES.get(match[0], match[0].lower()), text)


def told(error: duckdb.Error) -> str:
    """Return what DuckDB has against a query: one sentence, without its help for writers of SQL."""
    first = str(error).split("\n")[0]
    first = re.sub(r"^[A-Z][A-Za-z ]* Error: ", "", first)
    return plain(re.sub(r" ?You might need to add explicit type casts\.?", "", first)).rstrip(".")
