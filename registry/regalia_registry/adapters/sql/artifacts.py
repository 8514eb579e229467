"""Artifact versions in SQL."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, select, tuple_

from regalia.core import times
from regalia.core.digest import Digest
from regalia.core.names import ArtifactName, Kind
from regalia_registry.adapters.sql.engine import insert_new
from regalia_registry.adapters.sql.statements import ARTIFACT, ARTIFACT_NAME, batches
from regalia_registry.domain.order import sort_key
from regalia_registry.domain.records import ArtifactKey, ArtifactVersion, ListedArtifact
from regalia_registry.domain.refusals import no_artifact, require_unchanged

_LISTED = [column for column in ARTIFACT.c if column.name != "manifest"]


class SqlArtifacts:
    """An `ArtifactRepository` over one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Keep the transaction."""
        self._connection = connection

    def add(self, artifact: ArtifactVersion) -> bool:
        """Insert a version, or say that it was there."""
        name = artifact.artifact
        key = {"namespace": name.namespace, "kind": str(name.kind), "name": name.name}
        row = {
            **key,
            "version": artifact.version,
            "sort_key": sort_key(artifact.version),
            "digest": artifact.digest.hex,
            "fingerprint": artifact.fingerprint.hex,
            "manifest": artifact.manifest,
            "pushed_at": times.write(artifact.pushed_at),
        }
        if insert_new(self._connection, ARTIFACT, row):
            insert_new(self._connection, ARTIFACT_NAME, key)
            return True
        require_unchanged(
            artifact,
            same_version=self._find(and_(_is(name), ARTIFACT.c.version == artifact.version)),
            same_content=self.find_by_fingerprint(name, fingerprint=artifact.fingerprint),
        )
        return False

    def get(self, artifact: ArtifactName, *, version: str) -> ArtifactVersion:
        """Get a version."""
        found = self._find(and_(_is(artifact), ARTIFACT.c.version == version))
        if found is None:
            raise no_artifact(artifact, version)
        return found

    def find_by_digest(self, namespace: str, *, digest: Digest) -> ArtifactVersion | None:
        """Find a manifest that the namespace has."""
        return self._find(and_(ARTIFACT.c.digest == digest.hex, ARTIFACT.c.namespace == namespace))

    def find_all_by_digest(self, namespace: str, *, digests: Collection[Digest]) -> Mapping[Digest, ArtifactVersion]:
        """Find many manifests that the namespace has."""
        found = {}
        for batch in batches([digest.hex for digest in digests]):
            query = select(ARTIFACT).where(ARTIFACT.c.digest.in_(batch), ARTIFACT.c.namespace == namespace)
            for row in self._connection.execute(query).mappings():
                version = _read(row)
                found[version.digest] = version
        return found

    def find_by_fingerprint(self, artifact: ArtifactName, *, fingerprint: Digest) -> ArtifactVersion | None:
        """Find the version that has this content."""
        return self._find(and_(_is(artifact), ARTIFACT.c.fingerprint == fingerprint.hex))

    def names(
        self, namespace: str, *, kind: Kind | None, after: ArtifactKey | None, limit: int
    ) -> Sequence[ArtifactKey]:
        """List artifacts by kind and name."""
        columns = ARTIFACT_NAME.c
        query = select(columns.kind, columns.name).where(columns.namespace == namespace)
        if kind is not None:
            query = query.where(columns.kind == str(kind))
        if after is not None and kind is not None:  # SQLite would sort, if it compared pairs here too
            query = query.where(columns.name > after.name)
        elif after is not None:
            query = query.where(tuple_(columns.kind, columns.name) > tuple_(str(after.kind), after.name))
        rows = self._connection.execute(query.order_by(columns.kind, columns.name).limit(limit))
        return [ArtifactKey(Kind(row.kind), row.name) for row in rows]

    def versions(self, artifact: ArtifactName, *, after: str | None, limit: int) -> Sequence[ListedArtifact]:
        """List versions, highest first."""
        query = select(*_LISTED).where(_is(artifact))
        if after is not None:
            query = query.where(ARTIFACT.c.sort_key < sort_key(after))
        rows = self._connection.execute(query.order_by(ARTIFACT.c.sort_key.desc()).limit(limit)).mappings()
        return [_read_listed(row) for row in rows]

    def manifests(self, *, after: Digest | None, limit: int) -> Mapping[Digest, bytes]:
        """List manifests by digest; one that several namespaces have may stand at a page's end, and once."""
        query = select(ARTIFACT.c.digest, ARTIFACT.c.manifest)
        if after is not None:
            query = query.where(ARTIFACT.c.digest > after.hex)
        rows = self._connection.execute(query.order_by(ARTIFACT.c.digest).limit(limit))
        return {Digest(row.digest): row.manifest for row in rows}

    def _find(self, condition: ColumnElement[bool]) -> ArtifactVersion | None:
        row = self._connection.execute(select(ARTIFACT).where(condition).limit(1)).mappings().first()
        return None if row is None else _read(row)


def _is(artifact: ArtifactName) -> ColumnElement[bool]:
    columns = ARTIFACT.c
    return and_(
        columns.namespace == artifact.namespace, columns.kind == str(artifact.kind), columns.name == artifact.name
    )


def _read(row: RowMapping) -> ArtifactVersion:
    listed = _read_listed(row)
    return ArtifactVersion(
        artifact=listed.artifact,
        version=listed.version,
        digest=listed.digest,
        fingerprint=listed.fingerprint,
        manifest=row["manifest"],
        pushed_at=listed.pushed_at,
    )


def _read_listed(row: RowMapping) -> ListedArtifact:
    return ListedArtifact(
        artifact=ArtifactName(row["namespace"], Kind(row["kind"]), row["name"]),
        version=row["version"],
        digest=Digest(row["digest"]),
        fingerprint=Digest(row["fingerprint"]),
        pushed_at=times.parse(row["pushed_at"], what="pushed_at"),
    )
