"""Bundles and their holds in SQL."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, insert, select, update

from regalia.core import times
from regalia.core.digest import Digest
from regalia.core.errors import NotFoundError, VersionConflictError
from regalia.core.names import ApplicationName
from regalia_registry.adapters.sql.statements import BUNDLE, HOLD, inserted
from regalia_registry.domain.order import sort_key
from regalia_registry.domain.records import Hold, StoredBundle


class SqlBundles:
    """A `BundleRepository` over one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Keep the transaction."""
        self._connection = connection

    def add(self, bundle: StoredBundle) -> bool:
        """Insert a bundle, or say that it was there."""
        row = {
            "application": str(bundle.application),
            "version": bundle.version,
            "sort_key": sort_key(bundle.version),
            "digest": bundle.digest.hex,
            "index_body": bundle.index,
            "release": bundle.release,
            "issued_at": times.write(bundle.issued_at),
            "stored_at": times.write(bundle.stored_at),
            "git_commit": bundle.git_commit,
        }
        if inserted(self._connection, insert(BUNDLE).values(row)):
            return True
        there = self._get(bundle.application, BUNDLE.c.version == bundle.version, bundle.version)
        if there.digest == bundle.digest:
            return False
        raise VersionConflictError(
            f'"{bundle.application}@{bundle.version}" is {there.digest.short}, sent was {bundle.digest.short}',
            hint="a version never changes: reg bundle create with the next one",
        )

    def get(self, application: ApplicationName, *, version: str) -> StoredBundle:
        """Get a bundle by version."""
        return self._get(application, BUNDLE.c.version == version, version)

    def get_by_digest(self, application: ApplicationName, *, digest: Digest) -> StoredBundle:
        """Get a bundle by digest."""
        return self._get(application, BUNDLE.c.digest == digest.hex, digest.short)

    def list(self, application: ApplicationName, *, after: str | None, limit: int) -> Sequence[StoredBundle]:
        """List bundles, highest version first."""
        query = select(BUNDLE).where(BUNDLE.c.application == str(application))
        if after is not None:
            query = query.where(BUNDLE.c.sort_key < sort_key(after))
        rows = self._connection.execute(query.order_by(BUNDLE.c.sort_key.desc()).limit(limit)).mappings()
        return [_read(row) for row in rows]

    def add_signatures(self, application: ApplicationName, *, digest: Digest, release: bytes) -> None:
        """Replace a release statement by the same payload with more signatures."""
        condition = and_(BUNDLE.c.application == str(application), BUNDLE.c.digest == digest.hex)
        self._connection.execute(update(BUNDLE).where(condition).values(release=release))

    def _get(self, application: ApplicationName, condition: ColumnElement[bool], told: str) -> StoredBundle:
        query = select(BUNDLE).where(BUNDLE.c.application == str(application), condition)
        row = self._connection.execute(query).mappings().first()
        if row is None:
            raise NotFoundError(f'there is no bundle "{application}@{told}"', hint=f"reg bundle list {application}")
        return _read(row)


class SqlHolds:
    """A `HoldRepository` over one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Keep the transaction."""
        self._connection = connection

    def add(self, hold: Hold) -> bool:
        """Hold a bundle."""
        row = {
            "application": str(hold.application),
            "bundle": hold.bundle.hex,
            "version": hold.version,
            "reason": hold.reason,
            "held_at": times.write(hold.held_at),
            "held_by": hold.held_by,
        }
        return inserted(self._connection, insert(HOLD).values(row))

    def find(self, application: ApplicationName, bundle: Digest) -> Hold | None:
        """Find the hold of a bundle."""
        row = self._connection.execute(select(HOLD).where(_is(application, bundle))).mappings().first()
        return None if row is None else _read_hold(row)

    def list(self, application: ApplicationName) -> Sequence[Hold]:
        """List an application's holds, newest first."""
        query = select(HOLD).where(HOLD.c.application == str(application))
        rows = self._connection.execute(query.order_by(HOLD.c.held_at.desc(), HOLD.c.bundle)).mappings()
        return [_read_hold(row) for row in rows]

    def lift(self, application: ApplicationName, bundle: Digest) -> bool:
        """Lift a hold."""
        return self._connection.execute(delete(HOLD).where(_is(application, bundle))).rowcount == 1


def _is(application: ApplicationName, bundle: Digest) -> ColumnElement[bool]:
    return and_(HOLD.c.application == str(application), HOLD.c.bundle == bundle.hex)


def _read(row: RowMapping) -> StoredBundle:
    return StoredBundle(
        application=ApplicationName.parse(row["application"]),
        version=row["version"],
        digest=Digest(row["digest"]),
        index=row["index_body"],
        release=row["release"],
        issued_at=times.parse(row["issued_at"], what="issued_at"),
        stored_at=times.parse(row["stored_at"], what="stored_at"),
        git_commit=row["git_commit"],
    )


def _read_hold(row: RowMapping) -> Hold:
    return Hold(
        application=ApplicationName.parse(row["application"]),
        bundle=Digest(row["bundle"]),
        version=row["version"],
        reason=row["reason"],
        held_at=times.parse(row["held_at"], what="held_at"),
        held_by=row["held_by"],
    )
