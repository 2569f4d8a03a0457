"""Rows as files: JSON, NDJSON, CSV, Parquet, Arrow, piece by piece. Nothing here reads a store."""
