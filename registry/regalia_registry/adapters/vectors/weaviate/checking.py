"""Looking at a server before somebody relies on it: its version, what its key may do, what it does by itself."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

from weaviate.proto.v1 import batch_pb2

from regalia.core.errors import AccessError, UnsupportedError
from regalia_registry.adapters.vectors.weaviate.connection import Connection
from regalia_registry.adapters.vectors.weaviate.sealing import READONLY, shard_path, shards_of
from regalia_registry.ports.vectors import Checked, EngineRight

_OLDEST, _ADVISED = (1, 32, 5), (1, 37, 14)
_PROBE, _TOLD = "Regalia_probe_", "regalia: probe"
_PROBE_NAME = re.compile(rf"{_PROBE}[0-9a-f]{{16}}\Z")


def check(connection: Connection) -> Checked:
    """Look at a server. What can't be asked is tried with a class of a random name, which is removed at once."""
    require_new(connection)
    version, numbers = connection.version()
    _remove_left(connection)
    warnings = []
    if connection.is_exposed:
        warnings.append("the API key travels in clear to another machine: use https")
    if numbers < _ADVISED:
        warnings.append(f"Weaviate {version} is old: 1.37.14 or newer is advised")
    if _makes_classes(connection):
        warnings.append("auto-schema is on: a late batch would bring a dropped class back; AUTOSCHEMA_ENABLED=false")
    rights = frozenset(_rights(connection, warnings))
    return Checked(f"Weaviate {version}", tuple(warnings), rights, aliases=True)


def require_new(connection: Connection) -> None:
    """Refuse a server that lacks what all else relies on.

    Raises:
        UnsupportedError: It is too old.
    """
    version, numbers = connection.version()
    if numbers < _OLDEST:
        raise UnsupportedError(f"Weaviate {version} is too old", hint="1.32.5 or newer is needed")


def _rights(connection: Connection, warnings: list[str]) -> Iterator[EngineRight]:
    try:
        connection.get("/v1/schema")
        yield EngineRight.READ
        with _probe(connection) as name:
            yield EngineRight.CREATE
            warnings += _unsealed(connection, name)
            connection.send("POST", "/v1/aliases", {"alias": f"{name}_alias", "class": name})
            connection.send("PUT", f"/v1/aliases/{name}_alias", {"class": name})
            yield EngineRight.ALIAS
            connection.send("DELETE", f"/v1/aliases/{name}_alias")
    except AccessError:
        return  # it may do what was found until then


def _unsealed(connection: Connection, name: str) -> Iterator[str]:
    """Tell where the key may make a class and not seal it: Weaviate counts a shard's status among tenants."""
    try:
        for shard in shards_of(connection, name):
            connection.send("PUT", shard_path(name, shard.name), {"status": READONLY})
    except AccessError:
        yield "its key may not seal what it makes, so no channel can serve from it: grant update_tenants and read_nodes"


@contextmanager
def _probe(connection: Connection) -> Iterator[str]:
    name = f"{_PROBE}{token_hex(8)}"
    connection.send("POST", "/v1/schema", {"class": name, "description": _TOLD, "vectorizer": "none"})
    try:
        yield name
    finally:
        connection.send("DELETE", f"/v1/schema/{name}")


def is_probe(found: dict[str, Any]) -> bool:
    """Say whether a class is what a check tried something with, and no collection of anybody."""
    is_ours = found.get("description") == _TOLD or not found.get("properties")  # the server's own has no description
    return is_ours and _PROBE_NAME.match(str(found["class"])) is not None


def _remove_left(connection: Connection) -> None:
    """Remove the probes of a check that was killed, or whose server was."""
    for one in (connection.get("/v1/schema") or {}).get("classes") or []:
        if is_probe(one):
            connection.send("DELETE", f"/v1/aliases/{one['class']}_alias")
            connection.send("DELETE", f"/v1/schema/{one['class']}")


def _makes_classes(connection: Connection) -> bool:
    """Send a row to a class that nobody has: where the server makes it, it does so for late batches too."""
    name = f"{_PROBE}{token_hex(8)}"
    row = batch_pb2.BatchObject(uuid="00000000-0000-8000-8000-000000000000", collection=name)
    connection.call("BatchObjects", batch_pb2.BatchObjectsRequest(objects=[row]))
    is_made = connection.get(f"/v1/schema/{name}") is not None
    if is_made:
        connection.send("DELETE", f"/v1/schema/{name}")
    return is_made
