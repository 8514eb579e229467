"""Finding classes by their own names, and knowing which are ours."""

from typing import Any

from regalia.core.errors import ConflictError, NotFoundError
from regalia_registry.adapters.vectors.weaviate.connection import Connection, segment
from regalia_registry.adapters.vectors.weaviate.hosting import Told


def find(connection: Connection, name: str) -> dict[str, Any] | None:
    """Get a class by its own name; None where there is none: an alias's name gives the class that it leads to."""
    found: dict[str, Any] | None = connection.get(f"/v1/schema/{segment(name)}")
    return found if found is not None and found.get("class") == name else None


def get_ours(connection: Connection, name: str, mark: str) -> dict[str, Any]:
    """Get a class that has this mark.

    Raises:
        NotFoundError: There is none of this name.
        ConflictError: It has another mark, or none.
    """
    found = find(connection, name)
    if found is None:
        raise NotFoundError(f'there is no class "{name}"', hint="reg collection list TARGET")
    if mark_of(found) != mark:
        raise ConflictError(f'the class "{name}" is not ours', hint="it is left as it is")
    return found


def mark_of(found: dict[str, Any]) -> str:
    """Give the mark that a class was made with, empty where it is not ours."""
    told = Told.parse(str(found.get("description") or ""))
    return "" if told is None else told.mark
