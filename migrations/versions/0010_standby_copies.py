"""Sealed copies that channels keep beside their live collections."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("channel_placing", sa.Column("standby", sa.Boolean(), nullable=False, server_default=sa.false()))
