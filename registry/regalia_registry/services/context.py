"""What every service is given: the ports, and who asks."""

from dataclasses import dataclass

from regalia_registry.domain.access import Actor
from regalia_registry.ports.blobs import BlobStore
from regalia_registry.ports.store import Store
from regalia_registry.ports.system import Clock, Ids, OwnKeys, RootFile


@dataclass(frozen=True, slots=True)
class Ports:
    """The world, as the services see it."""

    store: Store
    blobs: BlobStore
    clock: Clock
    ids: Ids
    keys: OwnKeys
    root_file: RootFile


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and the request's id for the record."""

    actor: Actor
    request: str
