"""Whether a sealed collection is still what was proved."""

from regalia.core.errors import ConflictError, NotFoundError, UnsupportedError
from regalia_registry.domain.placing import Collection
from regalia_registry.ports.serving import Seals, Serving
from regalia_registry.ports.vectors import Provider


def seals_of(provider: Provider) -> Seals:
    """Get what seals a target's collections.

    Raises:
        UnsupportedError: Nothing can be served from it.
    """
    if not isinstance(provider, Serving):
        raise UnsupportedError(
            "a channel can't serve from files", hint="place it on a database: reg channel set … --snapshot kb=TARGET"
        )
    return provider.seals


def is_intact(provider: Provider, collection: Collection) -> bool:
    """Say whether a collection that was sealed holds what it held, and seal it again where its engine opened it.

    Weaviate opens its shards when it starts; whoever opened one otherwise has left another marker.

    Raises:
        UnavailableError: The engine does not answer.
    """
    seals, name, mark = seals_of(provider), collection.name, collection.mark
    try:
        standing = seals.standing(name, mark=mark)
        if not standing.sealed:
            seals.seal(name, mark=mark)
            standing = seals.standing(name, mark=mark)
    except (ConflictError, NotFoundError):  # it is gone, or another has its name
        return False
    return standing.sealed and standing.marker == collection.marker
