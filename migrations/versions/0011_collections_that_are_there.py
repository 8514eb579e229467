"""Collections that are there, and the newest of a target, found without those that were dropped long ago."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_NOT_DROPPED = sa.text("state <> 'dropped'")


def upgrade() -> None:
    op.create_index("collection_there", "collection", ["id"], sqlite_where=_NOT_DROPPED, postgresql_where=_NOT_DROPPED)
    op.create_index("collection_newest", "collection", ["target", "state", "id"])
    op.drop_index("collection_namespace", "collection")
