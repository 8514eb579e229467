"""What PostgreSQL needs besides the tables: the row of the last change, texts in the order of bytes, wide numbers."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_WIDENED = (("artifact", "id"), ("bundle", "id"), ("trust_root", "version"))


def upgrade() -> None:
    op.create_table(
        "last_change",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    if op.get_context().dialect.name != "postgresql":
        return
    tables = sa.inspect(op.get_bind())
    for table in tables.get_table_names():
        for column in tables.get_columns(table):
            if isinstance(column["type"], sa.String):
                text = sa.String(length=column["type"].length, collation="C")
                op.alter_column(table, column["name"], type_=text)
    for table, name in _WIDENED:
        op.alter_column(table, name, type_=sa.BigInteger())
    for table in ("artifact", "bundle"):
        op.execute(sa.text(f"ALTER SEQUENCE {table}_id_seq AS bigint"))
