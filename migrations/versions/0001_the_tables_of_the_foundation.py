"""The tables of the foundation."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "access_token",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("grants", sa.String(), nullable=False),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.Column("expires_at", sa.String(length=20), nullable=True),
        sa.Column("revoked_at", sa.String(length=20), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("secret_sha256", name="access_token_secret_once"),
    )
    op.create_table(
        "artifact",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("namespace", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.Column("sort_key", sa.String(length=512), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("pushed_at", sa.String(length=20), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("namespace", "kind", "name", "fingerprint", name="artifact_content_once"),
        sa.UniqueConstraint("namespace", "kind", "name", "version", name="artifact_version_once"),
    )
    op.create_index("artifact_digest", "artifact", ["digest", "namespace"], unique=False)
    op.create_index("artifact_versions", "artifact", ["namespace", "kind", "name", "sort_key"], unique=True)

    op.create_table(
        "artifact_name",
        sa.Column("namespace", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "kind", "name"),
    )
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("seq", name="audit_entry_seq_once"),
    )
    op.create_table(
        "bundle",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("application", sa.String(length=129), nullable=False),
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.Column("sort_key", sa.String(length=512), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("issued_at", sa.String(length=20), nullable=False),
        sa.Column("stored_at", sa.String(length=20), nullable=False),
        sa.Column("git_commit", sa.String(length=64), nullable=True),
        sa.Column("release", sa.LargeBinary(), nullable=False),
        sa.Column("index_body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("application", "digest", name="bundle_digest_once"),
        sa.UniqueConstraint("application", "version", name="bundle_version_once"),
    )
    op.create_index("bundle_versions", "bundle", ["application", "sort_key"], unique=True)

    op.create_table(
        "bundle_hold",
        sa.Column("application", sa.String(length=129), nullable=False),
        sa.Column("bundle", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("held_at", sa.String(length=20), nullable=False),
        sa.Column("held_by", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("application", "bundle"),
    )
    op.create_table(
        "channel",
        sa.Column("application", sa.String(length=129), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("pointer", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("application", "channel"),
    )
    op.create_table(
        "namespace_blob",
        sa.Column("namespace", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "digest"),
    )
    op.create_table(
        "pointer",
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("application", sa.String(length=129), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("bundle", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.Column("stored_at", sa.String(length=20), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("identity"),
    )
    op.create_index("pointer_bundle", "pointer", ["application", "channel", "bundle", "sequence"], unique=False)
    op.create_index("pointer_history", "pointer", ["application", "channel", "sequence"], unique=True)

    op.create_table(
        "trust_root",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
        sa.UniqueConstraint("identity", name="trust_root_identity_once"),
    )
    op.create_table(
        "audit_text",
        sa.Column("entry", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("salt", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry"],
            ["audit_entry.id"],
        ),
        sa.PrimaryKeyConstraint("entry", "name"),
    )
    op.create_table(
        "deployment",
        sa.Column("application", sa.String(length=129), nullable=False),
        sa.Column("entry", sa.String(length=36), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("refused", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["entry"],
            ["audit_entry.id"],
        ),
        sa.PrimaryKeyConstraint("application", "entry"),
    )
    op.create_index("deployment_refused", "deployment", ["refused"], unique=False)
    op.create_index("deployment_channel", "deployment", ["application", "channel", "entry"], unique=False)
