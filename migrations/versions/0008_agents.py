"""Agents that follow channels, and what is set of a channel as a whole."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agent",
        sa.Column("application", sa.String(length=129), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("instance", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("bundle", sa.String(length=64), nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.Column("seen_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("application", "channel", "instance"),
    )
    op.create_index("agent_seen", "agent", ["seen_at"])
    op.create_table(
        "channel_setting",
        sa.Column("application", sa.String(length=129), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("require_warm", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("application", "channel"),
    )
