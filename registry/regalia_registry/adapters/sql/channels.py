"""Channels and their pointers in SQL; a channel moves by compare-and-set in the statement."""

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, Select, and_, select, tuple_, update

from regalia.core import times
from regalia.core.digest import Digest
from regalia.core.dsse import Envelope
from regalia.core.names import ApplicationName
from regalia.core.statements import ChannelPointer
from regalia_registry.adapters.sql.engine import insert_new
from regalia_registry.adapters.sql.statements import CHANNEL, POINTER
from regalia_registry.domain.records import StoredPointer
from regalia_registry.domain.refusals import no_pointer, pointer_moved


class SqlChannels:
    """A `ChannelRepository` over one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Keep the transaction."""
        self._connection = connection

    def find(self, application: ApplicationName, channel: str) -> StoredPointer | None:
        """Find a channel's current pointer."""
        query = _current().where(CHANNEL.c.application == str(application), CHANNEL.c.channel == channel)
        return self._first(query)

    def list(self, application: ApplicationName, *, after: str | None, limit: int) -> Sequence[StoredPointer]:
        """List an application's channels by name."""
        query = _current().where(CHANNEL.c.application == str(application))
        if after is not None:
            query = query.where(CHANNEL.c.channel > after)
        return self._all(query.order_by(CHANNEL.c.channel).limit(limit))

    def list_all(self, *, after: tuple[ApplicationName, str] | None, limit: int) -> Sequence[StoredPointer]:
        """List the channels of all applications."""
        query = _current()
        if after is not None:
            query = query.where(tuple_(CHANNEL.c.application, CHANNEL.c.channel) > tuple_(str(after[0]), after[1]))
        return self._all(query.order_by(CHANNEL.c.application, CHANNEL.c.channel).limit(limit))

    def move(self, pointer: StoredPointer, *, expected: Digest | None) -> None:
        """Make this the current pointer if the current one is `expected`."""
        named = pointer.pointer
        application, channel = str(named.application), named.channel
        if expected is None:
            row = {"application": application, "channel": channel, "pointer": pointer.identity.hex}
            moved = insert_new(self._connection, CHANNEL, row)
        else:
            is_expected = and_(
                CHANNEL.c.application == application,
                CHANNEL.c.channel == channel,
                CHANNEL.c.pointer == expected.hex,
            )
            statement = update(CHANNEL).where(is_expected).values(pointer=pointer.identity.hex)
            moved = self._connection.execute(statement).rowcount == 1
        if not moved or not insert_new(self._connection, POINTER, _row(pointer)):
            raise pointer_moved(named.application, channel)

    def find_pointer(self, identity: Digest) -> StoredPointer | None:
        """Find a pointer by its identity."""
        return self._first(select(POINTER).where(POINTER.c.identity == identity.hex))

    def history(
        self, application: ApplicationName, channel: str, *, after: int | None, limit: int
    ) -> Sequence[StoredPointer]:
        """List a channel's pointers, newest first."""
        query = select(POINTER).where(POINTER.c.application == str(application), POINTER.c.channel == channel)
        if after is not None:
            query = query.where(POINTER.c.sequence < after)
        return self._all(query.order_by(POINTER.c.sequence.desc()).limit(limit))

    def find_newest(self, application: ApplicationName, channel: str, *, bundle: Digest) -> StoredPointer | None:
        """Find the newest pointer of a channel that named this bundle."""
        query = select(POINTER).where(
            POINTER.c.application == str(application), POINTER.c.channel == channel, POINTER.c.bundle == bundle.hex
        )
        return self._first(query.order_by(POINTER.c.sequence.desc()).limit(1))

    def add_signatures(self, identity: Digest, *, envelope: bytes) -> None:
        """Replace a pointer's envelope by the same payload with more signatures."""
        statement = update(POINTER).where(POINTER.c.identity == identity.hex).values(envelope=envelope)
        if self._connection.execute(statement).rowcount != 1:
            raise no_pointer(identity)

    def _first(self, query: Select[tuple[object, ...]]) -> StoredPointer | None:
        row = self._connection.execute(query).mappings().first()
        return None if row is None else _read(row)

    def _all(self, query: Select[tuple[object, ...]]) -> Sequence[StoredPointer]:
        return [_read(row) for row in self._connection.execute(query).mappings()]


def _current() -> Select[tuple[object, ...]]:
    return select(POINTER).select_from(CHANNEL).join(POINTER, POINTER.c.identity == CHANNEL.c.pointer)


def _row(pointer: StoredPointer) -> dict[str, object]:
    named = pointer.pointer
    return {
        "identity": pointer.identity.hex,
        "application": str(named.application),
        "channel": named.channel,
        "sequence": named.sequence,
        "bundle": named.bundle.hex,
        "version": pointer.version,
        "envelope": pointer.envelope,
        "stored_at": times.write(pointer.stored_at),
    }


def _read(row: RowMapping) -> StoredPointer:
    return StoredPointer(
        identity=Digest(row["identity"]),
        pointer=ChannelPointer.of(Envelope.parse(row["envelope"], what="a stored pointer")),
        envelope=row["envelope"],
        version=row["version"],
        stored_at=times.parse(row["stored_at"], what="stored_at"),
    )
