"""Collections that operations make, where channels place them, and one open operation a channel."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("operation", sa.Column("channel", sa.String(length=162), nullable=True))
    op.create_index("operation_channel_once", "operation", ["channel"], unique=True)
    op.create_table(
        "collection",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("namespace", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("logical", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("table_name", sa.String(length=255), nullable=True),
        sa.Column("snapshot", sa.String(length=64), nullable=False),
        sa.Column("content_root", sa.String(length=64), nullable=False),
        sa.Column("schema_digest", sa.String(length=64), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("operation", sa.String(length=36), nullable=False),
        sa.Column("made_at", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("sealed", sa.Boolean(), nullable=False),
        sa.Column("marker", sa.String(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("verified_at", sa.String(length=20), nullable=True),
        sa.Column("bound_at", sa.String(length=20), nullable=True),
        sa.Column("unbound_at", sa.String(length=20), nullable=True),
        sa.Column("leftover", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("target", "name", name="collection_name_once"),
    )
    op.create_index("collection_content", "collection", ["target", "content_root"])
    op.create_index("collection_operation", "collection", ["operation"])
    op.create_index("collection_namespace", "collection", ["namespace", "id"])
    op.create_table(
        "channel_placing",
        sa.Column("application", sa.String(length=129), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("slot", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("logical", sa.String(length=64), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("alias", sa.String(length=128), nullable=True),
        sa.PrimaryKeyConstraint("application", "channel", "slot"),
        sa.UniqueConstraint("target", "alias", name="placing_alias_once"),
    )
