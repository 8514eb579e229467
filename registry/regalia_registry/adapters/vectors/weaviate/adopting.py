"""Adopting a class in use: it keeps its name, which no alias can have, and gets our mark in its description."""

from collections.abc import Iterator
from typing import Any

from regalia.core.errors import ConflictError, NotFoundError, UnavailableError, UnsupportedError
from regalia_registry.adapters.vectors.weaviate import checking
from regalia_registry.adapters.vectors.weaviate.aliases import led_to
from regalia_registry.adapters.vectors.weaviate.classes import find, mark_of
from regalia_registry.adapters.vectors.weaviate.connection import Connection, segment
from regalia_registry.adapters.vectors.weaviate.grammar import Captured, capture
from regalia_registry.adapters.vectors.weaviate.hosting import Told
from regalia_registry.adapters.vectors.weaviate.reading import dimensions
from regalia_registry.adapters.vectors.weaviate.sealing import shards_of

_LOOKED_PAGES = 10
_ALWAYS = (
    "{name} stays a class, and no alias can have its name: who says {name} goes on with this very class, also after a "
    "promote or a restore; an application that follows the channel asks the resolver, or says an alias of another name",
    "once the channel serves from another collection, {name} is sealed: a write there is refused as read-only; and "
    "where nothing has named it for a week, garbage collection drops it like any",
    "while it is marked, for some milliseconds, Weaviate refuses writes, and rows of a batch that it refuses may stay "
    "where no search finds them: stop the writers meanwhile, or delete what was refused and send it again",
    "its description says that it is ours, and what it said is kept behind that",
    "Weaviate's own backup and export fail while it is sealed",
)


class WeaviateAdoption:
    """`Adoption` of classes that applications made. An alias that leads to one is ours from then on."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection."""
        self._connection = connection

    def consequences(self, name: str) -> tuple[str, ...]:
        """Say what an application has to say instead of the name, and what of this very class changes."""
        found, _ = self._require_adoptable(name)
        return tuple(one.replace("{name}", f'"{name}"') for one in (*_ALWAYS, *self._beside(found)))

    def renamed(self, name: str, *, into: str) -> str:  # noqa: ARG002 # no class can be renamed
        """Give its own name."""
        return name

    def adopt(self, name: str, *, into: str, mark: str) -> None:
        """Mark the class where it is.

        Raises:
            UnavailableError: Somebody has stopped its writers: what is changed of such a class is changed by halves.
        """
        there = find(self._connection, name)
        if there is not None and mark_of(there) == mark:
            return
        found, captured = self._require_adoptable(name)
        if into != name:
            raise UnsupportedError(f'"{name}" can\'t become "{into}": a class keeps its name', hint="adopt it as it is")
        if any(one.is_stopped for one in shards_of(self._connection, name)):
            raise UnavailableError(
                f'"{name}" takes no writes', hint="make its shards READY first, or wait for who froze it"
            )
        spaces = dimensions(self._connection, name, captured.body, {}, most_pages=_LOOKED_PAGES)
        told = Told(mark, {}, {space.name: space.dims for space in spaces}, before=str(found.get("description") or ""))
        path = f"/v1/schema/{segment(name)}"
        if self._connection.send("PUT", path, {**found, "description": told.written()}) is None:
            raise NotFoundError(f'there is no class "{name}"', hint="somebody dropped it meanwhile")

    def _require_adoptable(self, name: str) -> tuple[dict[str, Any], Captured]:
        """Get a class that can be a collection of ours.

        Raises:
            NotFoundError: There is none of this name.
            ConflictError: It is ours.
            UnsupportedError: It can't be one, and why.
        """
        checking.require_new(self._connection)
        found = find(self._connection, name)
        if found is None:
            raise NotFoundError(f'there is no class "{name}"', hint="reg collection list TARGET, an alias is none")
        if mark_of(found):
            raise ConflictError(f'"{name}" is ours already', hint="name a class that an application made")
        captured = capture(found)
        if captured.refusals:
            raise UnsupportedError(
                f'"{name}" can\'t be adopted: {"; ".join(captured.refusals)}', hint="reg collection show"
            )
        return found, captured

    def _beside(self, found: dict[str, Any]) -> Iterator[str]:
        if not (found.get("invertedIndexConfig") or {}).get("indexTimestamps"):
            yield "it has no index of timestamps: to see whether {name} was written, all its rows are looked at"
        for alias in led_to(self._connection, str(found["class"])):
            yield f'the alias "{alias}", which leads to it, is ours: a channel may let it lead elsewhere'
