"""Artifact versions in SQL."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, insert, select, tuple_

from regalia.core import times
from regalia.core.digest import Digest
from regalia.core.errors import NotFoundError, VersionConflictError
from regalia.core.names import ArtifactName, Kind
from regalia_registry.adapters.sql.statements import ARTIFACT, ARTIFACT_NAME, batches, inserted
from regalia_registry.domain.order import sort_key
from regalia_registry.domain.records import ArtifactKey, ArtifactVersion


class SqlArtifacts:
    """An `ArtifactRepository` over one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Keep the transaction."""
        self._connection = connection

    def add(self, artifact: ArtifactVersion) -> bool:
        """Insert a version, or say that it was there."""
        name = artifact.artifact
        row = {
            "namespace": name.namespace,
            "kind": str(name.kind),
            "name": name.name,
            "version": artifact.version,
            "sort_key": sort_key(artifact.version),
            "digest": artifact.digest.hex,
            "fingerprint": artifact.fingerprint.hex,
            "manifest": artifact.manifest,
            "pushed_at": times.write(artifact.pushed_at),
        }
        if not inserted(self._connection, insert(ARTIFACT).values(row)):
            return self._explain(artifact)
        key = {"namespace": name.namespace, "kind": str(name.kind), "name": name.name}
        inserted(self._connection, insert(ARTIFACT_NAME).values(key))
        return True

    def get(self, artifact: ArtifactName, *, version: str) -> ArtifactVersion:
        """Get a version."""
        found = self._find(and_(_is(artifact), ARTIFACT.c.version == version))
        if found is None:
            raise NotFoundError(f'there is no "{artifact}@{version}"', hint="push it: reg push")
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
        if after is not None:
            query = query.where(tuple_(columns.kind, columns.name) > tuple_(str(after.kind), after.name))
        rows = self._connection.execute(query.order_by(columns.kind, columns.name).limit(limit))
        return [ArtifactKey(Kind(row.kind), row.name) for row in rows]

    def versions(self, artifact: ArtifactName, *, after: str | None, limit: int) -> Sequence[ArtifactVersion]:
        """List versions, highest first."""
        query = select(ARTIFACT).where(_is(artifact))
        if after is not None:
            query = query.where(ARTIFACT.c.sort_key < sort_key(after))
        rows = self._connection.execute(query.order_by(ARTIFACT.c.sort_key.desc()).limit(limit)).mappings()
        return [_read(row) for row in rows]

    def _find(self, condition: ColumnElement[bool]) -> ArtifactVersion | None:
        row = self._connection.execute(select(ARTIFACT).where(condition).limit(1)).mappings().first()
        return None if row is None else _read(row)

    def _explain(self, artifact: ArtifactVersion) -> bool:
        """Say why a unique constraint refused."""
        name, version = artifact.artifact, artifact.version
        same_version = self._find(and_(_is(name), ARTIFACT.c.version == version))
        if same_version is not None and same_version.digest == artifact.digest:
            return False
        if same_version is not None:
            raise VersionConflictError(
                f'"{name}@{version}" is {same_version.digest.short}, pushed was {artifact.digest.short}',
                hint="a version never changes: set the next one in the file, or reg push --bump patch",
            )
        same_content = self._find(and_(_is(name), ARTIFACT.c.fingerprint == artifact.fingerprint.hex))
        there = "another version" if same_content is None else f'version "{same_content.version}"'
        raise VersionConflictError(f'"{name}" has this content as {there} already', hint="use that version")


def _is(artifact: ArtifactName) -> ColumnElement[bool]:
    columns = ARTIFACT.c
    return and_(
        columns.namespace == artifact.namespace, columns.kind == str(artifact.kind), columns.name == artifact.name
    )


def _read(row: RowMapping) -> ArtifactVersion:
    return ArtifactVersion(
        artifact=ArtifactName(row["namespace"], Kind(row["kind"]), row["name"]),
        version=row["version"],
        digest=Digest(row["digest"]),
        fingerprint=Digest(row["fingerprint"]),
        manifest=row["manifest"],
        pushed_at=times.parse(row["pushed_at"], what="pushed_at"),
    )
