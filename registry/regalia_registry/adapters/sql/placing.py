"""Collections, and where channels place their snapshots, in SQL; a collection changes by compare-and-set."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, select, update

from regalia.core import times
from regalia.core.digest import Digest
from regalia.core.names import ApplicationName, Slot
from regalia_registry.adapters.sql.engine import insert_new
from regalia_registry.adapters.sql.statements import COLLECTION, PLACING, SETTING
from regalia_registry.adapters.sql.tables import NOT_DROPPED
from regalia_registry.domain.placing import ChannelPlacings, Collection, CollectionState, Mode, Placing
from regalia_registry.domain.refusals import alias_taken, collection_taken, no_collection


class SqlCollections:
    """A `CollectionRepository` over one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Keep the transaction."""
        self._connection = connection

    def add(self, collection: Collection) -> None:
        """Insert a collection."""
        row = {
            "id": collection.id,
            "namespace": collection.namespace,
            "target": collection.target,
            "provider": collection.provider,
            "logical": collection.logical,
            "name": collection.name,
            "snapshot": collection.snapshot.hex,
            "content_root": collection.content_root.hex,
            "schema_digest": collection.schema_digest.hex,
            "row_count": collection.rows,
            "operation": collection.operation,
            "made_at": times.write(collection.made_at),
            **_changing(collection),
        }
        if not insert_new(self._connection, COLLECTION, row):
            raise collection_taken(collection.target, collection.name)

    def get(self, collection_id: str) -> Collection:
        """Get a collection by its id."""
        found = self._all(COLLECTION.c.id == collection_id)
        if not found:
            raise no_collection(collection_id)
        return found[0]

    def find(self, target: str, name: str) -> Collection | None:
        """Find a collection by its name."""
        return next(iter(self._all(and_(COLLECTION.c.target == target, COLLECTION.c.name == name))), None)

    def find_ready(self, target: str, *, content_root: Digest) -> Sequence[Collection]:
        """Find those of this content, the newest first."""
        is_same = and_(COLLECTION.c.target == target, COLLECTION.c.content_root == content_root.hex)
        return self._all(and_(is_same, COLLECTION.c.state == str(CollectionState.READY)))[::-1]

    def of_operation(self, operation: str) -> Sequence[Collection]:
        """List what an operation made."""
        return self._all(COLLECTION.c.operation == operation)

    def list(self, *, after: str | None, limit: int) -> Sequence[Collection]:
        """List what is not dropped, by id."""
        where = NOT_DROPPED if after is None else and_(NOT_DROPPED, COLLECTION.c.id > after)
        rows = self._connection.execute(select(COLLECTION).where(where).order_by(COLLECTION.c.id).limit(limit))
        return [_read(row) for row in rows.mappings()]

    def newest(self, target: str) -> Collection | None:
        """Find the one that was made last."""
        is_ready = and_(COLLECTION.c.target == target, COLLECTION.c.state == str(CollectionState.READY))
        query = select(COLLECTION).where(is_ready, COLLECTION.c.seconds > 0).order_by(COLLECTION.c.id.desc()).limit(1)
        row = self._connection.execute(query).mappings().first()
        return None if row is None else _read(row)

    def update(self, collection: Collection, *, expected: CollectionState) -> bool:
        """Replace what changes, if its state is the expected one."""
        is_expected = and_(COLLECTION.c.id == collection.id, COLLECTION.c.state == str(expected))
        statement = update(COLLECTION).where(is_expected).values(_changing(collection))
        return self._connection.execute(statement).rowcount == 1

    def _all(self, where: ColumnElement[bool]) -> Sequence[Collection]:
        query = select(COLLECTION).where(where).order_by(COLLECTION.c.id)
        return [_read(row) for row in self._connection.execute(query).mappings()]


class SqlPlacings:
    """A `PlacingRepository` over one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Keep the transaction."""
        self._connection = connection

    def find(self, application: ApplicationName, channel: str) -> ChannelPlacings:
        """Find what a channel places."""
        where = and_(PLACING.c.application == str(application), PLACING.c.channel == channel)
        rows = self._connection.execute(select(PLACING).where(where).order_by(PLACING.c.slot)).mappings()
        return ChannelPlacings(
            application, channel, tuple(map(_placing, rows)), self._requires_warm(application, channel)
        )

    def put(self, placings: ChannelPlacings) -> None:
        """Store what a channel places."""
        application, channel = str(placings.application), placings.channel
        where = and_(PLACING.c.application == application, PLACING.c.channel == channel)
        self._connection.execute(delete(PLACING).where(where))
        for one in placings.placings:
            row = {
                "application": application,
                "channel": channel,
                "slot": str(one.slot),
                "target": one.target,
                "logical": one.logical,
                "mode": str(one.mode),
                "alias": one.alias,
                "standby": one.standby,
            }
            if not insert_new(self._connection, PLACING, row):
                raise alias_taken(one.target, str(one.alias))
        setting = and_(SETTING.c.application == application, SETTING.c.channel == channel)
        self._connection.execute(delete(SETTING).where(setting))
        if placings.require_warm:
            settled = {"application": application, "channel": channel, "require_warm": True}
            insert_new(self._connection, SETTING, settled)

    def list(self) -> Sequence[ChannelPlacings]:
        """List all channels that place anything."""
        order = PLACING.c.application, PLACING.c.channel, PLACING.c.slot
        rows = self._connection.execute(select(PLACING).order_by(*order)).mappings()
        grouped = [
            (ApplicationName.parse(application), channel, tuple(map(_placing, found)))
            for (application, channel), found in groupby(rows, key=lambda row: (row["application"], row["channel"]))
        ]
        return [
            ChannelPlacings(application, channel, placings, self._requires_warm(application, channel))
            for application, channel, placings in grouped
        ]

    def _requires_warm(self, application: ApplicationName, channel: str) -> bool:
        where = and_(SETTING.c.application == str(application), SETTING.c.channel == channel)
        return bool(self._connection.execute(select(SETTING.c.require_warm).where(where)).scalar())


def _placing(row: RowMapping) -> Placing:
    mode, standby = Mode(row["mode"]), bool(row["standby"])
    return Placing(Slot.parse(row["slot"]), row["target"], row["logical"], mode, row["alias"], standby)


def _changing(collection: Collection) -> dict[str, object]:
    return {
        "state": str(collection.state),
        "table_name": collection.table,
        "sealed": collection.sealed,
        "marker": collection.marker,
        "seconds": collection.seconds,
        "verified_at": _written(collection.verified_at),
        "bound_at": _written(collection.bound_at),
        "unbound_at": _written(collection.unbound_at),
        "leftover": collection.leftover,
    }


def _written(time: datetime | None) -> str | None:
    return None if time is None else times.write(time)


def _time(text: str | None) -> datetime | None:
    return None if text is None else times.parse(text, what="a time")


def _read(row: RowMapping) -> Collection:
    return Collection(
        id=row["id"],
        namespace=row["namespace"],
        target=row["target"],
        provider=row["provider"],
        logical=row["logical"],
        name=row["name"],
        snapshot=Digest(row["snapshot"]),
        content_root=Digest(row["content_root"]),
        schema_digest=Digest(row["schema_digest"]),
        rows=row["row_count"],
        operation=row["operation"],
        made_at=times.parse(row["made_at"], what="made_at"),
        state=CollectionState(row["state"]),
        table=row["table_name"],
        sealed=bool(row["sealed"]),
        marker=row["marker"],
        seconds=row["seconds"],
        verified_at=_time(row["verified_at"]),
        bound_at=_time(row["bound_at"]),
        unbound_at=_time(row["unbound_at"]),
        leftover=row["leftover"],
    )
