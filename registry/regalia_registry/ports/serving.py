"""Serving from a vector engine: what seals collections of ours, leads aliases to them, and adopts those in use."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from regalia_registry.domain.snapshots.schema import Schema


@dataclass(frozen=True, slots=True)
class Standing:
    """How a collection of ours stands: whether it takes no writes, and a marker of what it holds.

    Two equal markers of a sealed collection say that nothing was written in between, cheaply; whatever the engine can't
    vouch for differs. An open collection's marker says nothing: who seals it again looks once more.
    """

    sealed: bool
    marker: str


class Seals(Protocol):
    """Stops the writers of collections that we made. All of it may be said twice."""

    def seal(self, name: str, *, mark: str) -> None:
        """Let nobody write into a collection any more; who tries is told to resolve the channel again.

        Raises:
            NotFoundError: There is none of this name.
            ConflictError: It has another mark, or a later worker of its operation has it.
        """
        ...

    def unseal(self, name: str, *, mark: str) -> None:
        """Let writers in, where a channel serves a collection that its application writes into.

        Raises:
            NotFoundError: There is none of this name.
            ConflictError: It has another mark, or a later worker of its operation has it.
        """
        ...

    def standing(self, name: str, *, mark: str) -> Standing:
        """Look whether it is sealed and what it holds, in milliseconds whatever its size.

        Raises:
            NotFoundError: There is none of this name.
            ConflictError: It has another mark.
        """
        ...


class Aliases(Protocol):
    """Names in the engine that always lead to one collection, for applications that keep saying them."""

    def get(self, alias: str) -> str | None:
        """Name the collection that an alias of ours leads to; None where there is none, or it shows something else.

        An alias that was changed by hand is such a one: `set` makes it right.

        Raises:
            ConflictError: Something that is no alias of ours has the name.
        """
        ...

    def set(self, alias: str, collection: str) -> None:
        """Make an alias lead to a collection of ours, at once for every reader that comes after; it may be said twice.

        Raises:
            NotFoundError: There is no such collection.
            ConflictError: Something that is no alias of ours has the name.
            UnavailableError: Somebody's open transaction is in the way, and who; nothing was changed.
        """
        ...

    def leading_to(self, collection: str) -> tuple[str, ...]:
        """Name the aliases of ours that lead to a collection, sorted; one that was changed by hand is none of ours."""
        ...

    def refusals(self, alias: str, schema: Schema) -> tuple[str, ...]:
        """Say why an alias can't be made to lead to a collection of this schema: what its readers would stumble over.

        It is asked before there is such a collection, with the schema that `hosted` gave.
        """
        ...

    def remove(self, alias: str) -> bool:
        """Remove an alias of ours; False where there is none.

        Raises:
            ConflictError: Something that is no alias of ours has the name.
        """
        ...


class Adoption(Protocol):
    """Makes a collection ours that an application made and writes into."""

    def consequences(self, name: str) -> tuple[str, ...]:
        """Say what the applications of a collection can't do with it any more once it is adopted, and what instead.

        Raises:
            NotFoundError: There is none of this name.
            ConflictError: It is ours already.
            UnsupportedError: It can't be adopted, and why.
            AccessError: The target's credential may not, and what it lacks.
        """
        ...

    def renamed(self, name: str, *, into: str) -> str:
        """Give the name that a collection has once it is adopted: `into`, or its own where the engine can't rename."""
        ...

    def adopt(self, name: str, *, into: str, mark: str) -> None:
        """Give a collection our mark and the name `into`, and its own to an alias that leads to it, in one moment.

        Where an engine can't rename, `into` is its own name, which stays and is no alias: `consequences` says what an
        application says. Its rows, its indexes and who reads and writes them stay. It may be said twice.

        Raises:
            NotFoundError: There is none of this name.
            ConflictError: It is ours already, or `into` is the name of something else.
            UnsupportedError: It can't be adopted, and why.
            AccessError: The target's credential may not, and what it lacks.
            UnavailableError: Somebody's open transaction is in the way, and who; nothing was changed.
        """
        ...


@runtime_checkable
class Serving(Protocol):
    """What a provider is as well, where a channel can serve from its collections; files can't be served from."""

    @property
    def seals(self) -> Seals:
        """Stops writers."""
        ...

    @property
    def aliases(self) -> Aliases:
        """Its aliases."""
        ...


@runtime_checkable
class Adopting(Protocol):
    """What a provider is as well, where collections in use can be adopted."""

    @property
    def adoption(self) -> Adoption:
        """Makes them ours."""
        ...
