"""Bundles and their holds in SQL."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, select, tuple_, update

from regalia.core import times
from regalia.core.digest import Digest
from regalia.core.names import ApplicationName
from regalia_registry.adapters.sql.engine import insert_new
from regalia_registry.adapters.sql.statements import BUNDLE, HOLD
from regalia_registry.domain.order import sort_key
from regalia_registry.domain.records import Hold, ListedBundle, StoredBundle
from regalia_registry.domain.refusals import no_bundle, require_unchanged_bundle

_LISTED = [column for column in BUNDLE.c if column.name not in {"index_body", "release"}]


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
        if insert_new(self._connection, BUNDLE, row):
            return True
        same_version = self._find(bundle.application, BUNDLE.c.version == bundle.version)
        require_unchanged_bundle(bundle, same_version=same_version)
        return False

    def get(self, application: ApplicationName, *, version: str) -> StoredBundle:
        """Get a bundle by version."""
        found = self._find(application, BUNDLE.c.version == version)
        if found is None:
            raise no_bundle(application, version)
        return found

    def get_by_digest(self, application: ApplicationName, *, digest: Digest) -> StoredBundle:
        """Get a bundle by digest."""
        found = self._find(application, BUNDLE.c.digest == digest.hex)
        if found is None:
            raise no_bundle(application, digest.short)
        return found

    def list(self, application: ApplicationName, *, after: str | None, limit: int) -> Sequence[ListedBundle]:
        """List bundles, highest version first."""
        query = select(*_LISTED).where(BUNDLE.c.application == str(application))
        if after is not None:
            query = query.where(BUNDLE.c.sort_key < sort_key(after))
        rows = self._connection.execute(query.order_by(BUNDLE.c.sort_key.desc()).limit(limit)).mappings()
        return [_read_listed(row) for row in rows]

    def list_all(self, *, after: tuple[ApplicationName, Digest] | None, limit: int) -> Sequence[StoredBundle]:
        """List the bundles of all applications."""
        query = select(BUNDLE)
        if after is not None:
            query = query.where(tuple_(BUNDLE.c.application, BUNDLE.c.digest) > tuple_(str(after[0]), after[1].hex))
        rows = self._connection.execute(query.order_by(BUNDLE.c.application, BUNDLE.c.digest).limit(limit)).mappings()
        return [_read(row) for row in rows]

    def add_signatures(self, application: ApplicationName, *, digest: Digest, release: bytes) -> None:
        """Replace a release statement by the same payload with more signatures."""
        condition = and_(BUNDLE.c.application == str(application), BUNDLE.c.digest == digest.hex)
        if self._connection.execute(update(BUNDLE).where(condition).values(release=release)).rowcount != 1:
            raise no_bundle(application, digest.short)

    def _find(self, application: ApplicationName, condition: ColumnElement[bool]) -> StoredBundle | None:
        query = select(BUNDLE).where(BUNDLE.c.application == str(application), condition)
        row = self._connection.execute(query).mappings().first()
        return None if row is None else _read(row)


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
        return insert_new(self._connection, HOLD, row)

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
    listed = _read_listed(row)
    return StoredBundle(
        application=listed.application,
        version=listed.version,
        digest=listed.digest,
        index=row["index_body"],
        release=row["release"],
        issued_at=listed.issued_at,
        stored_at=listed.stored_at,
        git_commit=listed.git_commit,
    )


def _read_listed(row: RowMapping) -> ListedBundle:
    return ListedBundle(
        application=ApplicationName.parse(row["application"]),
        version=row["version"],
        digest=Digest(row["digest"]),
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
