"""Weaviate's aliases: one name that leads to one class at a time, changed at once and never half."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from weaviate.proto.v1 import search_get_pb2

from regalia.core.errors import (
    AccessError,
    ConflictError,
    InvalidNameError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.vectors.weaviate import checking
from regalia_registry.adapters.vectors.weaviate.classes import find, mark_of
from regalia_registry.adapters.vectors.weaviate.connection import Connection, segment
from regalia_registry.adapters.vectors.weaviate.grammar import REFERENCE, ClassBody, Nested, capture, parse_engine
from regalia_registry.adapters.vectors.weaviate.hosting import Told
from regalia_registry.adapters.vectors.weaviate.messages import ASK
from regalia_registry.adapters.vectors.weaviate.reading import dimensions
from regalia_registry.domain.snapshots.schema import Schema

_WAIT_S = 10.0
_POLL_S = 0.01
_INDEXES = ("indexFilterable", "indexSearchable", "indexRangeFilters")
_LOOKED_PAGES = 1


class WeaviateAliases:
    """`Aliases` of a server. An alias is ours that leads to a class of ours, or to one that is gone."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection."""
        self._connection = connection

    def get(self, alias: str) -> str | None:
        """Name the class; it may be gone, where somebody dropped it by hand."""
        found = self._connection.get(f"/v1/aliases/{segment(_own(alias))}")
        if found is None:
            if self._connection.get(f"/v1/schema/{segment(alias)}") is not None:
                raise ConflictError(f'"{alias}" is a class, and no alias of ours', hint="choose another alias")
            return None
        name = str(found["class"])
        there = find(self._connection, name)
        if there is not None and not mark_of(there):
            raise ConflictError(
                f'the alias "{alias}" leads to "{name}", which is not ours', hint="choose another alias"
            )
        return name

    def set(self, alias: str, collection: str) -> None:
        """Make it lead there, and see that a search through it is answered from there and all nodes know.

        Raises:
            UnavailableError: Not every node does yet.
        """
        led, there = self.get(alias), find(self._connection, collection)
        if there is None:
            raise NotFoundError(f'there is no class "{collection}"', hint="reg collection list TARGET")
        if not mark_of(there):
            raise ConflictError(f'the class "{collection}" is not ours', hint="an alias leads to what we made")
        path, body = f"/v1/aliases/{segment(alias)}", {"class": collection}
        if led != collection and (led is None or self._connection.send("PUT", path, body) is None):
            self._connection.send("POST", "/v1/aliases", {"alias": alias, **body})
        deadline = time.monotonic() + _WAIT_S
        while not (self._answers_from(alias, collection) and self._is_known_everywhere()):
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f'the alias "{alias}" does not lead to "{collection}" on every node yet',
                    hint="are all nodes up? ask again",
                )
            self._connection.rest(_POLL_S)

    def remove(self, alias: str) -> bool:
        """Remove it."""
        if self.get(alias) is None:
            return False
        return self._connection.send("DELETE", f"/v1/aliases/{segment(alias)}") is not None

    def leading_to(self, collection: str) -> tuple[str, ...]:
        """Name all that lead to a class that we made; to one that was adopted, its application's may lead too."""
        there = find(self._connection, collection)
        told = None if there is None else Told.parse(str(there.get("description") or ""))
        return () if told is None or not told.engine else led_to(self._connection, collection)

    def refusals(self, alias: str, schema: Schema) -> tuple[str, ...]:
        """Refuse another shape than the alias shows: a question that names what is gone fails."""
        if not REFERENCE.match(alias):
            return (f'"{alias[:60]}" is no name that Weaviate has',)
        try:
            checking.require_new(self._connection)
        except UnsupportedError as error:
            return (error.message,)
        for one in (self._connection.get("/v1/schema") or {}).get("classes") or []:
            if str(one["class"]).casefold() == alias.casefold():
                return (f'"{one["class"]}" is a class: choose another alias',)
        try:
            led = self.get(alias)
        except ConflictError as error:
            return (error.message,)
        shown = None if led is None else find(self._connection, led)
        return () if shown is None else tuple(self._differences(shown, schema))

    def _differences(self, found: dict[str, Any], schema: Schema) -> Iterator[str]:
        shown, wanted = capture(found).body, parse_engine(schema.engine)
        told = Told.parse(str(found.get("description") or ""))
        recorded = {} if told is None else told.dims
        spaces = dimensions(self._connection, str(found["class"]), shown, recorded, most_pages=_LOOKED_PAGES)
        if shown.is_unnamed != wanted.is_unnamed:
            yield "its vector has a name, or has none any more"
        added = {space.name for space in wanted.spaces} - {space.name for space in shown.spaces}
        yield from (
            f'it shows no vector "{name}", and a question would have to say which it means' for name in sorted(added)
        )
        yield from _spaces(spaces, schema.vectors)
        yield from _properties(shown, wanted)

    def _answers_from(self, alias: str, name: str) -> bool:
        """Search through the alias; a class without rows does not say that it answers."""
        found = self._connection.get(f"/v1/aliases/{segment(alias)}")
        if found is None or found["class"] != name:
            return False
        request = ASK(collection=alias, limit=1, properties=search_get_pb2.PropertiesRequest())
        try:
            results = self._connection.call("Search", request).results
        except NotFoundError:  # the leader knows the alias, and the node that answers does not yet
            return False
        return all(result.properties.target_collection == name for result in results)

    def _is_known_everywhere(self) -> bool:
        """Say whether every node that is up has done all that the cluster agreed on; a key may not be let look."""
        try:
            found = self._connection.get("/v1/cluster/statistics") or {}
        except AccessError:
            return True
        states = [one["raft"] for one in found.get("statistics") or [] if one.get("raft")]
        agreed = max((int(state["commitIndex"]) for state in states), default=0)
        return all(int(state["appliedIndex"]) >= agreed for state in states)


def led_to(connection: Connection, name: str) -> tuple[str, ...]:
    """Name the aliases that lead to a class, whoever made them."""
    found = connection.get(f"/v1/aliases?class={segment(name)}") or {}
    return tuple(sorted(str(one["alias"]) for one in found.get("aliases") or []))


def _own(alias: str) -> str:
    """Take a name that Weaviate can have.

    Raises:
        InvalidNameError: It can't.
    """
    if not REFERENCE.match(alias):
        raise InvalidNameError(f'"{alias[:60]}" is no name of an alias', hint="use A-Z, a-z, 0-9 and _")
    return alias


def _spaces(shown: Iterable[VectorSpace], wanted: Iterable[VectorSpace]) -> Iterator[str]:
    there = {space.name: space for space in wanted}
    for space in shown:
        other = there.get(space.name)
        if other is None:
            yield f'it shows the vector "{space.name}", which would be gone'
        elif (space.dims, space.metric) != (other.dims, other.metric):
            yield (
                f'its vector "{space.name}" has {space.dims} dimensions by {space.metric}, '
                f"and would have {other.dims} by {other.metric}"
            )


def _properties(shown: ClassBody, wanted: ClassBody) -> Iterator[str]:
    there = dict(_flat(wanted.properties))
    for path, one in _flat(shown.properties):
        other = there.get(path)
        if other is None:
            yield f'it shows the property "{path}", which would be gone'
            continue
        if one.type != other.type:
            yield f'its property "{path}" is {one.type}, and would be {other.type}'
        for index in _INDEXES:
            if _has(one, index) and not _has(other, index):
                yield f'its property "{path}" has {index}, and would not'
    for setting in ("indexNullState", "indexPropertyLength"):
        if shown.inverted.get(setting) is True and wanted.inverted.get(setting) is not True:
            yield f"it has {setting}, and would not"


def _flat(properties: Iterable[Nested], above: str = "") -> Iterator[tuple[str, Nested]]:
    for one in properties:
        yield f"{above}{one.name}", one
        yield from _flat(one.children, f"{above}{one.name}.")


def _has(one: Nested, index: str) -> bool:
    """Say whether a property has an index; where nothing is said, Weaviate makes those that its type can have."""
    defaults: Mapping[str, bool] = {"indexFilterable": True, "indexSearchable": True, "indexRangeFilters": False}
    return one.settings.get(index, defaults[index]) is True
