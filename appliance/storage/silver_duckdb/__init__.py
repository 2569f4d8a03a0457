"""Silver on DuckDB: one database file per organisation, one writer, any number of readers.

``store.DuckDbSilver`` is the adapter. This package imports nothing, so that the child process that tries a database
after a crash (``probe``) starts fast.
"""
