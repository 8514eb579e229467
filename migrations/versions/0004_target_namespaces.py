"""Who may use a target; one that was there is used by nobody until an admin says who may."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("target", sa.Column("namespaces", sa.String(), nullable=False, server_default=""))
