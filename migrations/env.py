"""Run by alembic with an open connection; the tables are the service's."""

from alembic import context

from regalia_registry.adapters.sql import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.SQLModel.metadata,
    render_as_batch=True,
)

with context.begin_transaction():
    context.run_migrations()
