"""The tables; a row never is what is hashed, so a column more changes no digest.

Long bytes stand last in a row: SQLite then reads the columns before them without walking their pages. Texts sort by
their bytes on every database: on PostgreSQL the migrations give them the collation "C".
"""

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

_NAME = 64
_APPLICATION = 129
_VERSION = 128
_SORT_KEY = 512
_DIGEST = 64
_ID = 36
_TIME = 20
NOT_DROPPED = text("state <> 'dropped'")  # spelled out, so that a query and a partial index say the same
_NUMBER = BigInteger().with_variant(Integer(), "sqlite")  # whose only integer has 64 bits, and is the row's own number


class Artifact(SQLModel, table=True):
    """One artifact version with its manifest's exact bytes."""

    __table_args__ = (
        UniqueConstraint("namespace", "kind", "name", "version", name="artifact_version_once"),
        UniqueConstraint("namespace", "kind", "name", "fingerprint", name="artifact_content_once"),
        Index("artifact_versions", "namespace", "kind", "name", "sort_key", unique=True),
        Index("artifact_digest", "digest", "namespace"),
    )

    id: int | None = Field(default=None, sa_type=_NUMBER, primary_key=True)
    namespace: str = Field(max_length=_NAME)
    kind: str = Field(max_length=16)
    name: str = Field(max_length=_NAME)
    version: str = Field(max_length=_VERSION)
    sort_key: str = Field(max_length=_SORT_KEY)
    digest: str = Field(max_length=_DIGEST)
    fingerprint: str = Field(max_length=_DIGEST)
    pushed_at: str = Field(max_length=_TIME)
    manifest: bytes = Field(sa_type=LargeBinary)


class ArtifactName(SQLModel, table=True):
    """A named artifact, so that names are listed without reading versions."""

    __tablename__ = "artifact_name"

    namespace: str = Field(max_length=_NAME, primary_key=True)
    kind: str = Field(max_length=16, primary_key=True)
    name: str = Field(max_length=_NAME, primary_key=True)


class Bundle(SQLModel, table=True):
    """One bundle: index and release statement as exact bytes."""

    __table_args__ = (
        UniqueConstraint("application", "version", name="bundle_version_once"),
        UniqueConstraint("application", "digest", name="bundle_digest_once"),
        Index("bundle_versions", "application", "sort_key", unique=True),
    )

    id: int | None = Field(default=None, sa_type=_NUMBER, primary_key=True)
    application: str = Field(max_length=_APPLICATION)
    version: str = Field(max_length=_VERSION)
    sort_key: str = Field(max_length=_SORT_KEY)
    digest: str = Field(max_length=_DIGEST)
    issued_at: str = Field(max_length=_TIME)
    stored_at: str = Field(max_length=_TIME)
    git_commit: str | None = Field(default=None, max_length=64)
    release: bytes = Field(sa_type=LargeBinary)
    index_body: bytes = Field(sa_type=LargeBinary)


class Channel(SQLModel, table=True):
    """The one row of a channel: which pointer is current."""

    application: str = Field(max_length=_APPLICATION, primary_key=True)
    channel: str = Field(max_length=32, primary_key=True)
    pointer: str = Field(max_length=_DIGEST)


class Pointer(SQLModel, table=True):
    """Every pointer that a channel has or had."""

    __table_args__ = (
        Index("pointer_history", "application", "channel", "sequence", unique=True),
        Index("pointer_bundle", "application", "channel", "bundle", "sequence"),
    )

    identity: str = Field(max_length=_DIGEST, primary_key=True)
    application: str = Field(max_length=_APPLICATION)
    channel: str = Field(max_length=32)
    sequence: int = Field(sa_type=BigInteger)
    bundle: str = Field(max_length=_DIGEST)
    version: str = Field(max_length=_VERSION)
    stored_at: str = Field(max_length=_TIME)
    envelope: bytes = Field(sa_type=LargeBinary)


class BundleHold(SQLModel, table=True):
    """A bundle that nothing may newly name."""

    __tablename__ = "bundle_hold"

    application: str = Field(max_length=_APPLICATION, primary_key=True)
    bundle: str = Field(max_length=_DIGEST, primary_key=True)
    version: str = Field(max_length=_VERSION)
    reason: str
    held_at: str = Field(max_length=_TIME)
    held_by: str = Field(max_length=_ID)


class TrustRoot(SQLModel, table=True):
    """A version of the trust root."""

    __tablename__ = "trust_root"
    __table_args__ = (UniqueConstraint("identity", name="trust_root_identity_once"),)

    version: int = Field(sa_type=_NUMBER, primary_key=True, sa_column_kwargs={"autoincrement": False})
    identity: str = Field(max_length=_DIGEST)
    envelope: bytes = Field(sa_type=LargeBinary)


class NamespaceBlob(SQLModel, table=True):
    """That a namespace may see a blob."""

    __tablename__ = "namespace_blob"

    namespace: str = Field(max_length=_NAME, primary_key=True)
    digest: str = Field(max_length=_DIGEST, primary_key=True)
    size_bytes: int = Field(sa_type=BigInteger)


class BlobClaim(SQLModel, table=True):
    """Until when a blob is kept without a manifest that links it; `operation` removes it, where one does."""

    __tablename__ = "blob_claim"
    __table_args__ = (Index("blob_claim_operation", "operation", "digest"),)

    digest: str = Field(max_length=_DIGEST, primary_key=True)
    until: str = Field(max_length=_TIME)
    operation: str | None = Field(default=None, max_length=_ID)


class AccessToken(SQLModel, table=True):
    """A token by the hash of its secret; `grants` is JSON."""

    __tablename__ = "access_token"
    __table_args__ = (UniqueConstraint("secret_sha256", name="access_token_secret_once"),)

    id: str = Field(max_length=_ID, primary_key=True)
    name: str
    secret_sha256: str = Field(max_length=_DIGEST)
    grants: str
    created_at: str = Field(max_length=_TIME)
    expires_at: str | None = Field(default=None, max_length=_TIME)
    revoked_at: str | None = Field(default=None, max_length=_TIME)


class AuditEntry(SQLModel, table=True):
    """An entry's final bytes; `seq` is numbered after the commit."""

    __tablename__ = "audit_entry"
    __table_args__ = (UniqueConstraint("seq", name="audit_entry_seq_once"),)

    id: str = Field(max_length=_ID, primary_key=True)
    body: bytes = Field(sa_type=LargeBinary)
    seq: int | None = Field(default=None, sa_type=BigInteger)


class AuditText(SQLModel, table=True):
    """Names and free text that an entry only hashes, with the salt as hex."""

    __tablename__ = "audit_text"

    entry: str = Field(max_length=_ID, primary_key=True, foreign_key="audit_entry.id")
    name: str = Field(max_length=_NAME, primary_key=True)
    text: str
    salt: str = Field(max_length=64)


class Deployment(SQLModel, table=True):
    """Which entries hold a deployment record; `refused` is the pointer, where it was."""

    __table_args__ = (
        Index("deployment_channel", "application", "channel", "entry"),
        Index("deployment_refused", "refused"),
    )

    application: str = Field(max_length=_APPLICATION, primary_key=True)
    entry: str = Field(max_length=_ID, primary_key=True, foreign_key="audit_entry.id")
    channel: str = Field(max_length=32)
    refused: str | None = Field(default=None, max_length=_DIGEST)


class Operation(SQLModel, table=True):
    """One operation of the journal; `request`, `outcome` and `journal` are JSON."""

    __table_args__ = (
        Index("operation_namespace", "namespace", "id"),
        Index("operation_open", "state", "id"),
        Index("operation_channel_once", "channel", unique=True),
    )

    id: str = Field(max_length=_ID, primary_key=True)
    kind: str = Field(max_length=16)
    namespace: str = Field(max_length=_NAME)
    subject: str = Field(max_length=_VERSION)
    created_at: str = Field(max_length=_TIME)
    created_by: str = Field(max_length=_ID)
    state: str = Field(max_length=16)
    epoch: int
    lease_until: str | None = Field(default=None, max_length=_TIME)
    cancel_requested: bool
    channel: str | None = Field(default=None, max_length=_APPLICATION + 33)  # while it keeps others from moving it
    request: str
    outcome: str | None = None
    journal: str | None = None


class OperationEvent(SQLModel, table=True):
    """What happened in an operation, in its order."""

    __tablename__ = "operation_event"

    operation: str = Field(max_length=_ID, primary_key=True, foreign_key="operation.id")
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    time: str = Field(max_length=_TIME)
    body: str


class Target(SQLModel, table=True):
    """A named connection; `credential` says where its password is, `namespaces` who may use it."""

    name: str = Field(max_length=_NAME, primary_key=True)
    provider: str = Field(max_length=_NAME)
    url: str
    credential: str | None = None
    namespaces: str  # with spaces between


class Collection(SQLModel, table=True):
    """A collection that was made on a target; its row outlives it, so that no name is used twice."""

    __table_args__ = (
        UniqueConstraint("target", "name", name="collection_name_once"),
        Index("collection_content", "target", "content_root"),
        Index("collection_operation", "operation"),
        Index("collection_there", "id", sqlite_where=NOT_DROPPED, postgresql_where=NOT_DROPPED),
        Index("collection_newest", "target", "state", "id"),
    )

    id: str = Field(max_length=_ID, primary_key=True)
    namespace: str = Field(max_length=_NAME)
    target: str = Field(max_length=_NAME)
    provider: str = Field(max_length=_NAME)
    logical: str = Field(max_length=_NAME)
    name: str = Field(max_length=255)
    table_name: str | None = Field(default=None, max_length=255)
    snapshot: str = Field(max_length=_DIGEST)
    content_root: str = Field(max_length=_DIGEST)
    schema_digest: str = Field(max_length=_DIGEST)
    row_count: int = Field(sa_type=BigInteger)
    operation: str = Field(max_length=_ID)
    made_at: str = Field(max_length=_TIME)
    state: str = Field(max_length=16)
    sealed: bool
    marker: str
    seconds: int
    verified_at: str | None = Field(default=None, max_length=_TIME)
    bound_at: str | None = Field(default=None, max_length=_TIME)
    unbound_at: str | None = Field(default=None, max_length=_TIME)
    leftover: str | None = None


class ChannelPlacing(SQLModel, table=True):
    """Where a channel places one of its slots."""

    __tablename__ = "channel_placing"
    __table_args__ = (UniqueConstraint("target", "alias", name="placing_alias_once"),)

    application: str = Field(max_length=_APPLICATION, primary_key=True)
    channel: str = Field(max_length=32, primary_key=True)
    slot: str = Field(max_length=_NAME, primary_key=True)
    target: str = Field(max_length=_NAME)
    logical: str = Field(max_length=_NAME)
    mode: str = Field(max_length=16)
    alias: str | None = Field(default=None, max_length=128)
    standby: bool = False


class ChannelSetting(SQLModel, table=True):
    """What is set of a channel as a whole, where that is not the default."""

    __tablename__ = "channel_setting"

    application: str = Field(max_length=_APPLICATION, primary_key=True)
    channel: str = Field(max_length=32, primary_key=True)
    require_warm: bool


class Agent(SQLModel, table=True):
    """An instance that follows a channel, as it was seen last."""

    __table_args__ = (Index("agent_seen", "seen_at"),)

    application: str = Field(max_length=_APPLICATION, primary_key=True)
    channel: str = Field(max_length=32, primary_key=True)
    instance: str = Field(max_length=32, primary_key=True)
    epoch: int = Field(sa_type=BigInteger)
    sequence: int = Field(sa_type=BigInteger)
    bundle: str = Field(max_length=_DIGEST)
    pinned: bool
    seen_at: str = Field(max_length=_TIME)


class Provenance(SQLModel, table=True):
    """How a snapshot's version came to be, by its manifest's digest; `body` is JSON."""

    namespace: str = Field(max_length=_NAME, primary_key=True)
    digest: str = Field(max_length=_DIGEST, primary_key=True)
    body: str


class LastChange(SQLModel, table=True):
    """What is replaced so that who looks sees that it differs: 1 is for all; on PostgreSQL, 2 for workers alone."""

    __tablename__ = "last_change"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    mark: int = Field(sa_type=BigInteger)
