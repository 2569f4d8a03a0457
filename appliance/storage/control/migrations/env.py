"""Run by Alembic, on the connection that ``schema.py`` hands over; its transaction is the caller's."""

from alembic import context

from appliance.storage.control.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    version_table_schema=context.config.attributes["schema"],
    render_as_batch=True,  # SQLite alters by copying
    transactional_ddl=True,
)
context.run_migrations()
