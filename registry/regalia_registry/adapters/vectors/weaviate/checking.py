"""Looking at a server before somebody relies on it: its version, what its key may do, what it does by itself."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex

from weaviate.proto.v1 import batch_pb2

from regalia.core.errors import AccessError
from regalia_registry.adapters.vectors.weaviate.connection import Connection
from regalia_registry.ports.vectors import Checked, EngineRight

_OLDEST, _ADVISED = (1, 32, 5), (1, 37, 14)


def check(connection: Connection) -> Checked:
    """Look at a server. What can't be asked is tried with a class of a random name, which is removed at once."""
    version = str((connection.get("/v1/meta") or {}).get("version", "unknown"))
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    warnings = []
    if numbers < _OLDEST:
        warnings.append(f"Weaviate {version} is too old: 1.32.5 or newer is needed for aliases")
    elif numbers < _ADVISED:
        warnings.append(f"Weaviate {version} is old: 1.37.14 or newer is advised")
    if _makes_classes(connection):
        warnings.append("auto-schema is on: a late batch would bring a dropped class back; AUTOSCHEMA_ENABLED=false")
    return Checked(f"Weaviate {version}", tuple(warnings), frozenset(_rights(connection)), aliases=numbers >= _OLDEST)


def _rights(connection: Connection) -> Iterator[EngineRight]:
    try:
        connection.get("/v1/schema")
        yield EngineRight.READ
        with _probe(connection) as name:
            yield EngineRight.CREATE
            connection.send("POST", "/v1/aliases", {"alias": f"{name}_alias", "class": name})
            yield EngineRight.ALIAS
            connection.send("DELETE", f"/v1/aliases/{name}_alias")
    except AccessError:
        return  # it may do what was found until then


@contextmanager
def _probe(connection: Connection) -> Iterator[str]:
    name = f"Regalia_probe_{token_hex(8)}"
    connection.send("POST", "/v1/schema", {"class": name, "vectorizer": "none"})
    try:
        yield name
    finally:
        connection.send("DELETE", f"/v1/schema/{name}")


def _makes_classes(connection: Connection) -> bool:
    """Send a row to a class that nobody has: where the server makes it, it does so for late batches too."""
    name = f"Regalia_probe_{token_hex(8)}"
    row = batch_pb2.BatchObject(uuid="00000000-0000-8000-8000-000000000000", collection=name)
    connection.call("BatchObjects", batch_pb2.BatchObjectsRequest(objects=[row]))
    is_made = connection.get(f"/v1/schema/{name}") is not None
    if is_made:
        connection.send("DELETE", f"/v1/schema/{name}")
    return is_made
