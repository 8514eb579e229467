"""Vector engines: what a snapshot is read from and loaded into. A provider bundles the ports of one connection."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from regalia_registry.domain.operations import Holder, Target
from regalia_registry.domain.snapshots.origin import Origin
from regalia_registry.domain.snapshots.rows import Row
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.domain.snapshots.translation import Hosted


class Consistency(StrEnum):
    """What a reading says about a collection that is written meanwhile."""

    POINT_IN_TIME = "point-in-time"
    FROZEN = "frozen"
    FUZZY = "fuzzy"


@dataclass(frozen=True, slots=True)
class CollectionEntry:
    """A collection of an engine; `rows` is the engine's estimate, None where it has none.

    `mark` is the mark that it was created with, empty where it is not ours.
    """

    name: str
    rows: int | None = None
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Description:
    """What a collection is made of. Where `refusals` holds anything, it can't be a snapshot, and each says why.

    `fidelity` names what a snapshot of it does not keep; `origin` is the snapshot that it was made from, where the
    engine keeps that.
    """

    schema: Schema
    refusals: tuple[str, ...] = ()
    fidelity: tuple[str, ...] = ()
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer of a search: the encoded key, the distance by the collection's metric, the properties as JSON."""

    key: bytes
    distance: float
    properties: bytes


class EngineRight(StrEnum):
    """What a target's credential may do there."""

    READ = "read"  # every collection that it lists
    CREATE = "create"  # collections of ours
    ALIAS = "alias"  # names that point at one
    FENCE = "fence"  # end the connections of a worker that is late


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look at an engine tells; `warnings` say what should be changed before somebody relies on it.

    `aliases` says whether the engine has names that point at a collection. `size_bytes` is what the target holds and
    `free_bytes` what its disk has left; None where the engine does not tell.
    """

    version: str
    warnings: tuple[str, ...] = ()
    rights: frozenset[EngineRight] = frozenset()
    aliases: bool = False
    size_bytes: int | None = None
    free_bytes: int | None = None


class Reading(Protocol):
    """An open reading of one collection."""

    @property
    def consistency(self) -> Consistency:
        """What the reading promises, if nothing moved."""
        ...

    def batches(self) -> Iterator[Sequence[Row]]:
        """Read all rows, in any order, some thousand at a time.

        Raises:
            DocumentError: A row that a snapshot can't hold; the message names its key.
        """
        ...

    def moved(self) -> int:
        """Count the rows that were written while `batches` was read to its end; 0 where it saw one moment."""
        ...

    def unindexed(self) -> int:
        """Count the rows that were read and that the engine's own search does not find."""
        ...


class Ledger(Protocol):
    """Which groups of a load are known to be whole, for engines that can't keep it beside the rows.

    It outlives the worker: what was started and not acknowledged has an unknown fate.
    """

    @property
    def started(self) -> int:
        """How many groups were begun, by this worker or one before it."""
        ...

    @property
    def acknowledged(self) -> int:
        """How many groups, from the first, are whole."""
        ...

    def start(self, groups: int) -> None:
        """Record that so many groups are begun, before the first row of the last is sent."""
        ...

    def acknowledge(self, groups: int) -> None:
        """Record that so many groups are whole."""
        ...


class Collections(Protocol):
    """The collections of an engine. Names without our mark are only ever read."""

    def check(self) -> Checked:
        """Look at the engine.

        Raises:
            UnavailableError: It does not answer.
            AccessError: It does not let us in.
        """
        ...

    def list(self) -> Sequence[CollectionEntry]:
        """List what can be a snapshot, by name."""
        ...

    def describe(self, name: str) -> Description:
        """Describe a collection.

        Raises:
            NotFoundError: There is none of this name.
        """
        ...

    def hosted(self, schema: Schema) -> Hosted:
        """Say as which schema this engine would hold a collection of any family: the one that `create` is given.

        A schema of the engine's own family comes back as it is. Of any other the key's kind and the vectors' names and
        dimensions stay, and so do the properties' names, unless all go into one text (`Hosted.box`); the key's name and
        type, metrics and the properties' types may differ, each named in the fidelity. The rows that are loaded are
        those that `translator` of `domain/snapshots/translation.py` makes, and `describe` then gives this very schema.
        Nothing is asked of the engine: the answer is the same whenever a worker asks again.

        Raises:
            UnsupportedError: It can't hold such keys or vectors.
        """
        ...

    def create(self, name: str, schema: Schema, *, mark: str, origin: Origin | None = None) -> None:
        """Create an empty collection of a schema that `hosted` gave, with our mark; it never replaces one.

        `origin` is kept where the engine has a place for it, and `describe` gives it back.

        Raises:
            ConflictError: The name is taken, by a collection with another mark.
            UnsupportedError: This engine can't hold the schema.
        """
        ...

    def drop(self, name: str, *, mark: str) -> bool:
        """Remove a collection that has this mark; False where there is none of this name.

        Raises:
            ConflictError: It has another mark, or none; or something depends on it: an alias, or what somebody made.
        """
        ...


class RowSource(Protocol):
    """Reads rows; it never changes what it reads."""

    def open(self, name: str, *, freeze: Collection[str] | None = None) -> AbstractContextManager[Reading]:
        """Open a reading of one moment, as far as the engine can.

        `freeze` names what of the collection takes no writes for the time of the reading, as `writable` named it; None
        stops nobody.

        Raises:
            NotFoundError: There is none of this name.
        """
        ...

    def writable(self, name: str) -> tuple[str, ...]:
        """Name the parts of a collection that must take no writes for a reading to be of one moment, and do take them.

        None where a reading is of one moment anyway, and none that somebody else has stopped.

        Raises:
            NotFoundError: There is none of this name.
        """
        ...

    def thaw(self, name: str, parts: Collection[str]) -> None:
        """Let writers in again, where a frozen reading of a worker that died has stopped them.

        Raises:
            NotFoundError: There is none of this name.
        """
        ...


class RowSink(Protocol):
    """Fills a collection that we made, and looks into any."""

    def load(self, name: str, schema: Schema, groups: Iterable[Sequence[Row]], *, ledger: Ledger) -> Iterator[int]:
        """Load groups in order; yields the number of rows after each.

        Groups that an earlier, interrupted call loaded are skipped, and one whose fate is unknown is loaded anew: the
        same groups must be given in the same order.

        Raises:
            ConflictError: Another worker has taken the operation over.
        """
        ...

    def build_index(self, name: str, schema: Schema) -> None:
        """Build what makes searches fast, and wait until it covers every row."""
        ...

    def search(self, name: str, vector: bytes, *, space: str, limit: int) -> Sequence[Hit]:
        """Find the nearest rows through the engine's own index."""
        ...

    def unreachable(self, name: str, keys: Collection[bytes]) -> frozenset[bytes]:
        """Name those of these keys that a search can't find: absent, or stored and missing from the index."""
        ...


class Provider(Protocol):
    """One connection to one engine."""

    @property
    def collections(self) -> Collections:
        """Its collections."""
        ...

    @property
    def source(self) -> RowSource:
        """Reads rows."""
        ...

    @property
    def sink(self) -> RowSink:
        """Loads and searches."""
        ...

    def physical_name(self, logical: str, suffix: str) -> str:
        """Name a collection within the engine's limits: injective, and refused rather than cut.

        Raises:
            InvalidNameError: The engine could not keep the name as it is.
        """
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


@runtime_checkable
class Interruptible(Protocol):
    """What a provider is as well, where a single call of its ports may take minutes."""

    def interrupt(self) -> None:
        """End the call that another thread is in, if it is in one: it raises `UnavailableError`."""
        ...


@runtime_checkable
class Defining(Protocol):
    """What the collections are as well, where another program answers that has words of its own for one."""

    def version(self) -> str:
        """Name the engine with its version.

        Raises:
            UnavailableError: It does not answer.
        """
        ...

    def definition(self, name: str) -> str:
        """Spell a collection in them, for people to read: nothing executes the text, and nothing parses it.

        What could hold a secret is left out.

        Raises:
            NotFoundError: There is none of this name.
        """
        ...


class Targets(Protocol):
    """Finds the provider of a target, with the password that its credential names."""

    def connect(self, target: Target, *, holder: Holder) -> Provider:
        """Open a connection for a worker of an operation; where the engine can fence, it ends those of earlier epochs.

        Raises:
            ConfigurationError: The provider is not installed, or the credential is not there.
            UnavailableError: Nothing answers.
        """
        ...

    def close(self) -> None:
        """Stop what runs on this machine for its targets."""
        ...
