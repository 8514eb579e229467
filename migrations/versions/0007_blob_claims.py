"""Until when blobs are kept without a manifest, and who removes those that nobody keeps."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "blob_claim",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("until", sa.String(length=20), nullable=False),
        sa.Column("operation", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("blob_claim_operation", "blob_claim", ["operation", "digest"])
