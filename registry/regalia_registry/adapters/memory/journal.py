"""Trust roots, what a namespace may see, tokens and audit entries in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from regalia.core import times
from regalia.core.digest import Digest
from regalia.core.names import ApplicationName
from regalia_registry.adapters.memory.tables import Tables, page
from regalia_registry.domain.entries import Entry, StoredEntry
from regalia_registry.domain.provenance import Provenance
from regalia_registry.domain.records import StoredRoot, Token
from regalia_registry.domain.refusals import no_token, root_exists, token_exists


class MemoryRoots:
    """A `RootRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        """Keep the tables."""
        self._tables = tables

    def add(self, root: StoredRoot) -> None:
        """Append the next version."""
        if root.version in self._tables.roots or self.find_by_identity(root.identity) is not None:
            raise root_exists(root.version)
        self._tables.roots[root.version] = root

    def newest(self) -> StoredRoot | None:
        """Find the newest version."""
        return max(self._tables.roots.values(), key=lambda root: root.version, default=None)

    def find(self, version: int) -> StoredRoot | None:
        """Find a version."""
        return self._tables.roots.get(version)

    def find_by_identity(self, identity: Digest) -> StoredRoot | None:
        """Find a version by the digest of its payload."""
        return next((root for root in self._tables.roots.values() if root.identity == identity), None)

    def after(self, version: int, *, limit: int) -> Sequence[StoredRoot]:
        """List the versions after one, oldest first."""
        return page(self._tables.roots.values(), key=lambda root: root.version, after=version, limit=limit)


class MemoryProvenance:
    """A `ProvenanceRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        """Keep the tables."""
        self._tables = tables

    def add(self, namespace: str, manifest: Digest, provenance: Provenance) -> None:
        """Keep how a version came to be, unless that is told."""
        self._tables.provenance.setdefault((namespace, manifest), provenance)

    def find(self, namespace: str, manifest: Digest) -> Provenance | None:
        """Find how a version came to be."""
        return self._tables.provenance.get((namespace, manifest))


class MemoryLinks:
    """A `BlobRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        """Keep the tables."""
        self._tables = tables

    def link(self, namespace: str, *, sizes: Mapping[Digest, int]) -> None:
        """Let the namespace see these blobs."""
        for digest, size_bytes in sizes.items():
            self._tables.blobs.setdefault((namespace, digest), size_bytes)

    def find_sizes(self, namespace: str, *, digests: Collection[Digest]) -> Mapping[Digest, int]:
        """Find which of these blobs the namespace may see."""
        blobs = self._tables.blobs
        return {digest: blobs[namespace, digest] for digest in digests if (namespace, digest) in blobs}


class MemoryAccess:
    """An `AccessRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        """Keep the tables."""
        self._tables = tables

    def add(self, token: Token) -> None:
        """Store a token."""
        if token.id in self._tables.tokens or self.find(token.secret_sha256) is not None:
            raise token_exists(token.name)
        self._tables.tokens[token.id] = replace(
            token,
            created_at=times.whole_second(token.created_at),
            expires_at=None if token.expires_at is None else times.whole_second(token.expires_at),
            revoked_at=None if token.revoked_at is None else times.whole_second(token.revoked_at),
        )

    def find(self, secret_sha256: str) -> Token | None:
        """Find a token by its hash."""
        return next((token for token in self._tables.tokens.values() if token.secret_sha256 == secret_sha256), None)

    def get(self, token_id: str) -> Token:
        """Get a token by its id."""
        found = self._tables.tokens.get(token_id)
        if found is None:
            raise no_token(token_id)
        return found

    def list(self, *, after: str | None, limit: int) -> Sequence[Token]:
        """List tokens by id, oldest first."""
        return page(self._tables.tokens.values(), key=lambda token: token.id, after=after, limit=limit)

    def revoke(self, token_id: str, *, at: datetime) -> None:
        """End a token."""
        token = self.get(token_id)
        if token.revoked_at is None:
            self._tables.tokens[token_id] = replace(token, revoked_at=times.whole_second(at))


class MemoryAudit:
    """An `AuditRepository` in memory; `actors` are those who recorded something in its transaction."""

    def __init__(self, tables: Tables) -> None:
        """Keep the tables."""
        self._tables = tables
        self.actors: set[str] = set()

    def record(self, entry: Entry) -> None:
        """Append an entry."""
        self._tables.entries[entry.id] = StoredEntry(entry.id, entry.body(), entry.all_texts())
        deployment = entry.event.record
        if deployment is not None:
            self._tables.deployments[entry.id] = deployment.application, deployment.environment
            if not deployment.success and entry.event.after is not None:
                self._tables.refused[entry.event.after] = entry.id
        self.actors.add(entry.actor)

    def list(self, *, after: str | None, limit: int) -> Sequence[StoredEntry]:
        """List entries, newest first."""
        return _newest(self._tables.entries.values(), after=after, limit=limit)

    def deployments(
        self, application: ApplicationName, *, channel: str | None, after: str | None, limit: int
    ) -> Sequence[StoredEntry]:
        """List the entries that hold a deployment record, newest first."""
        found = [
            self._tables.entries[entry]
            for entry, (of, environment) in self._tables.deployments.items()
            if of == application and channel in {None, environment}
        ]
        return _newest(found, after=after, limit=limit)

    def is_void(self, pointer: Digest) -> bool:
        """Say whether this pointer was refused."""
        return pointer in self._tables.refused


def _newest(entries: Collection[StoredEntry], *, after: str | None, limit: int) -> Sequence[StoredEntry]:
    return page(entries, key=lambda entry: entry.id, after=after, limit=limit, is_descending=True)
