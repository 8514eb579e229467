"""What a worker leaves to the next one that takes its operation over."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("operation", sa.Column("journal", sa.String(), nullable=True))
