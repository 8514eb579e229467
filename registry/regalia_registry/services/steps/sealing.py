"""Whether a sealed collection is still what was proved."""

from collections.abc import Callable

from regalia.core.errors import ConflictError, NotFoundError, UnsupportedError
from regalia_registry.domain.placing import Collection
from regalia_registry.ports.serving import Seals, Serving
from regalia_registry.ports.store import Store, Transaction
from regalia_registry.ports.vectors import Provider

Fence = Callable[[Transaction], None]  # leaves a transaction that is not its caller's to write any more


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


def looks_intact(provider: Provider, collection: Collection) -> bool:
    """Say whether a collection is sealed and holds what it held, and change nothing.

    Raises:
        UnavailableError: The engine does not answer.
    """
    return _is_as_it_was(provider, collection, seal=False)


def is_intact(store: Store, provider: Provider, collection: Collection, *, fence: Fence = lambda _: None) -> bool:
    """Say whether a warm collection still is what was proved; one that is not is used by no move any more.

    It is sealed again where its engine opened it: Weaviate opens its shards when it starts; whoever opened one
    otherwise has left another marker. A move may open it for its application meanwhile: that one is let be, and what
    was sealed here is opened again.

    Raises:
        UnavailableError: The engine does not answer.
    """
    with store.read() as tx:
        there = tx.collections.get(collection.id)
    if not there.is_warm:
        return False
    is_as_it_was = _is_as_it_was(provider, there, seal=True)
    with store.read() as tx:
        now = tx.collections.get(collection.id)
    if not now.is_warm:
        if now.is_live:
            seals_of(provider).unseal(now.name, mark=now.mark)
        return False
    if is_as_it_was or now.marker != there.marker:
        return is_as_it_was
    with store.note() as tx:
        fence(tx)
        if tx.collections.get(collection.id) == now:
            tx.collections.update(now.drifted(), expected=now.state)
    return False


def _is_as_it_was(provider: Provider, collection: Collection, *, seal: bool) -> bool:
    seals, name, mark = seals_of(provider), collection.name, collection.mark
    try:
        standing = seals.standing(name, mark=mark)
        if seal and not standing.sealed:
            seals.seal(name, mark=mark)
            standing = seals.standing(name, mark=mark)
    except (ConflictError, NotFoundError):  # it is gone, or another has its name
        return False
    return standing.sealed and standing.marker == collection.marker
