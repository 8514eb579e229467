"""The registry's answers: one class each, named in the glossary's words."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MissingBlobs:
    """Which of the asked-for blobs are to be sent."""

    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pushed:
    """An artifact version that is there now; `created` is false where it was there before ("unchanged")."""

    reference: str
    kind: str
    name: str
    version: str
    digest: str
    created: bool


@dataclass(frozen=True, slots=True)
class ArtifactEntry:
    """One version of an artifact."""

    kind: str
    name: str
    version: str
    digest: str
    fingerprint: str
    pushed_at: str


@dataclass(frozen=True, slots=True)
class ProvenanceEntry:
    """How a snapshot's version came to be: a record of the registry, that nobody signed.

    `source` is the target's collection; where `target` is None, a file's digest, or the version that was rewritten.
    """

    operation: str
    kind: str
    target: str | None
    source: str
    provider: str
    engine: str
    consistency: str
    started: str
    finished: str
    writer: str


@dataclass(frozen=True, slots=True)
class ArtifactNameEntry:
    """A named artifact."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class HoldEntry:
    """That no pointer may newly name a bundle, and why."""

    digest: str
    version: str
    reason: str
    held_at: str
    held_by: str


@dataclass(frozen=True, slots=True)
class BundleEntry:
    """A bundle in a list."""

    application: str
    version: str
    digest: str
    issued_at: str
    stored_at: str
    git_sha: str | None = None
    hold: HoldEntry | None = None
    created: bool = False


@dataclass(frozen=True, slots=True)
class BundleDocuments:
    """A bundle with its exact index and release statement, each as base64."""

    entry: BundleEntry
    index: str
    release: str


@dataclass(frozen=True, slots=True)
class PointerEntry:
    """One pointer of a channel, read out of its signed payload, which comes along as base64 of the envelope."""

    channel: str
    version: str
    bundle: str
    epoch: int
    sequence: int
    move: str
    reason: str
    issued_at: str
    expires: str
    digest: str
    envelope: str
    fallbacks: tuple[str, ...] = ()
    collections: tuple[dict[str, str], ...] = ()
    hold: HoldEntry | None = None


@dataclass(frozen=True, slots=True)
class PlacingEntry:
    """Where a channel places one slot: on which target, and how its collections' names begin.

    `mode` is `frozen` or `live`; `alias` is the name in the engine that leads to the current one. `standby` keeps a
    sealed copy beside a live one.
    """

    slot: str
    target: str
    logical: str
    mode: str = "frozen"
    alias: str | None = None
    standby: bool = False


@dataclass(frozen=True, slots=True)
class PlacingsEntry:
    """Where a channel places its snapshots, by slot; `require_warm` demands a warm way back of every promotion."""

    application: str
    channel: str
    placings: tuple[PlacingEntry, ...] = ()
    require_warm: bool = False


@dataclass(frozen=True, slots=True)
class ReadinessEntry:
    """How fast a channel could go back: to the newest bundle that it named before and that is not on hold.

    `state` is `warm` (its collections are there), `cold` (they are made first, in about `seconds`, where somebody
    knows), `unplaced` (the channel does not place all of them), or empty where there is no such bundle.
    """

    channel: str
    require_warm: bool = False
    version: str | None = None
    bundle: str | None = None
    state: str = ""
    seconds: int | None = None
    unplaced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentEntry:
    """An instance that follows a channel, and what it said that it serves when it polled last, `age_s` seconds ago.

    A pinned one serves one bundle, wherever the channel is. `version` is empty for a bundle that is not there.
    """

    instance: str
    version: str
    bundle: str
    epoch: int
    sequence: int
    pinned: bool
    seen_at: str
    age_s: int


@dataclass(frozen=True, slots=True)
class ChannelEntry:
    """A channel with its current pointer."""

    application: str
    channel: str
    pointer: PointerEntry


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a signer needs to build a pointer: documents to verify, nothing to believe.

    `roots` are those after the version that was asked with; `entry` is the newest pointer of this channel that
    named the bundle, if any did; `held` is its hold. `collections` are what an operation has prepared, and
    `preparation` is what the registry's own key says of them.
    """

    roots: tuple[str, ...]
    release: str
    index: str
    pointer: str | None = None
    entry: PointerEntry | None = None
    held: HoldEntry | None = None
    collections: tuple[dict[str, str], ...] = ()
    excluded_fallbacks: tuple[str, ...] = ()
    preparation: str | None = None


@dataclass(frozen=True, slots=True)
class DeploymentEntry:
    """The record of one promote or restore: who moved what, where, when, why, and whether it was done."""

    id: str
    timestamp: str
    application: str
    environment: str
    version: str
    bundle: str
    move: str
    reason: str
    deployer: str
    success: bool
    changes: tuple[str, ...]
    rollback_plan: tuple[str, ...]
    sequence: int
    git_sha: str | None = None
    approver: str | None = None
    approval_ticket: str | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """A channel that names a bundle now; `created` is false where the same pointer was there before."""

    pointer: PointerEntry
    created: bool
    channel_created: bool
    deployment: str | None = None
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RootEntry:
    """One version of the trust root: the envelope as base64."""

    version: int
    digest: str
    envelope: str


@dataclass(frozen=True, slots=True)
class SignedEntry:
    """A stored release statement or current pointer, as base64 of its envelope."""

    key: str
    envelope: str


@dataclass(frozen=True, slots=True)
class RootsStored:
    """The newest root after new ones and added signatures were stored."""

    version: int
    envelopes_added: int
    held: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerKeys:
    """The public halves of the keys that the registry signs with, as PEM."""

    freshness: str
    log: str


@dataclass(frozen=True, slots=True)
class Grant:
    """Rights on a namespace, or on all (`*`)."""

    namespace: str
    rights: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """A token without its secret."""

    id: str
    name: str
    grants: tuple[Grant, ...]
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None


@dataclass(frozen=True, slots=True)
class TokenMade:
    """A token with its secret, shown this once."""

    entry: TokenEntry
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """Whom the registry takes the caller for."""

    actor: str
    name: str
    grants: tuple[Grant, ...]
    server_version: str
    server_time: str
    trust_domain: str | None = None
    root_version: int | None = None
    expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One audit entry: its final bytes as base64, and what it says."""

    id: str
    time: str
    event: str
    actor: str
    object: str
    entry: str


@dataclass(frozen=True, slots=True)
class TargetEntry:
    """A named connection to a vector engine, and the namespaces that may use it: `*` is all.

    `credential` says where its password is, and to admins only. `agents_url` and `agents_password_file` say how agents
    on the registry's machine reach the embedded one.
    """

    name: str
    provider: str
    url: str
    credential: str | None = None
    namespaces: tuple[str, ...] = ()
    agents_url: str | None = None
    agents_password_file: str | None = None


@dataclass(frozen=True, slots=True)
class OperationEntry:
    """Work of a worker: what was asked, how far it is, and its outcome (or its error) once it is over.

    A list leaves out what may be large: the outcome, and what a search looked for.
    """

    id: str
    kind: str
    namespace: str
    subject: str
    state: str
    created_at: str
    created_by: str
    request: dict[str, object]
    outcome: dict[str, object] | None = None
    cancel_requested: bool = False


@dataclass(frozen=True, slots=True)
class OperationEventEntry:
    """Something that happened in an operation."""

    number: int
    time: str
    body: dict[str, object]


@dataclass(frozen=True, slots=True)
class OperationProgress:
    """An operation, and its events behind the number that was asked for."""

    operation: OperationEntry
    events: tuple[OperationEventEntry, ...]
