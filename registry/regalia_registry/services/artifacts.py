"""Reading artifacts: names, versions, one version, and "have you this content?"."""

from regalia.core import times
from regalia.core.digest import Digest
from regalia.core.errors import NotFoundError
from regalia.core.names import ArtifactName, Kind
from regalia.wire.answers import ArtifactEntry, ArtifactNameEntry, ProvenanceEntry
from regalia_registry.domain.access import Right
from regalia_registry.domain.records import ArtifactKey, ArtifactVersion, ListedArtifact
from regalia_registry.services.context import Caller, Ports


def list_names(
    ports: Ports, caller: Caller, *, namespace: str, kind: Kind | None, after: ArtifactKey | None, limit: int
) -> list[ArtifactNameEntry]:
    """List a namespace's artifacts by kind and name."""
    caller.actor.require(Right.READ, on=namespace)
    with ports.store.read() as tx:
        found = tx.artifacts.names(namespace, kind=kind, after=after, limit=limit)
    return [ArtifactNameEntry(str(key.kind), key.name) for key in found]


def list_versions(
    ports: Ports, caller: Caller, artifact: ArtifactName, *, after: str | None, limit: int
) -> list[ArtifactEntry]:
    """List an artifact's versions, highest first."""
    caller.actor.require(Right.READ, on=artifact.namespace)
    with ports.store.read() as tx:
        return [_entry(version) for version in tx.artifacts.versions(artifact, after=after, limit=limit)]


def find_content(ports: Ports, caller: Caller, artifact: ArtifactName, *, fingerprint: Digest) -> list[ArtifactEntry]:
    """Find the version that has this content: none or one."""
    caller.actor.require(Right.READ, on=artifact.namespace)
    with ports.store.read() as tx:
        found = tx.artifacts.find_by_fingerprint(artifact, fingerprint=fingerprint)
    return [] if found is None else [_entry(found)]


def get_version(ports: Ports, caller: Caller, artifact: ArtifactName, *, version: str) -> ArtifactEntry:
    """Get one version."""
    caller.actor.require(Right.READ, on=artifact.namespace)
    with ports.store.read() as tx:
        return _entry(tx.artifacts.get(artifact, version=version))


def find_provenance(ports: Ports, caller: Caller, artifact: ArtifactName, *, version: str) -> ProvenanceEntry:
    """Tell how a version came to be, as far as the registry made it.

    Raises:
        NotFoundError: There is no such version, or nothing is known of it.
    """
    caller.actor.require(Right.READ, on=artifact.namespace)
    with ports.store.read() as tx:
        stored = tx.artifacts.get(artifact, version=version)
        found = tx.provenance.find(artifact.namespace, stored.digest)
    if found is None:
        raise NotFoundError(
            f'how "{artifact}@{version}" came to be is not known', hint="it was pushed by hand, or made before"
        )
    return ProvenanceEntry(
        operation=found.operation,
        kind=found.kind,
        target=found.target,
        source=found.source,
        provider=found.provider,
        engine=found.engine,
        consistency=found.consistency,
        started=times.write(found.started),
        finished=times.write(found.finished),
        writer=found.writer,
    )


def _entry(stored: ArtifactVersion | ListedArtifact) -> ArtifactEntry:
    return ArtifactEntry(
        kind=str(stored.artifact.kind),
        name=stored.artifact.name,
        version=stored.version,
        digest=str(stored.digest),
        fingerprint=str(stored.fingerprint),
        pushed_at=times.write(stored.pushed_at),
    )
