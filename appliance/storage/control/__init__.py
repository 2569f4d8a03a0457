"""The control plane: organisations, people, pipelines, dashboards, jobs, settings and the audit trail.

SQLite now, PostgreSQL later, from the same models. Only ``sqlite.py`` says what is particular to SQLite. No events and
no rows live here.
"""
