"""Taking a snapshot of a collection, or of a file: read it, store what changed, add the version. Run by a worker."""

from contextlib import closing

from regalia.core.errors import RegaliaError, UnavailableError
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.access import Actor
from regalia_registry.domain.files import ImportWish
from regalia_registry.domain.operations import Operation, SnapshotWish
from regalia_registry.services.context import Bench, Ports
from regalia_registry.services.steps.resuming import frozen_parts
from regalia_registry.services.steps.snapshots import fetched
from regalia_registry.services.steps.snapshotting import take
from regalia_registry.services.steps.targets import folder_target, get_target, require_use


def take_snapshot(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:
    """Take the snapshot that an operation asks for; gives its outcome.

    Raises:
        UnsupportedError: The collection can't be a snapshot; all reasons are in the message.
        RegaliaError: Whatever kept it from being read or stored.
    """
    wish = SnapshotWish.parse(operation.request)
    with ports.store.read() as tx:
        target = require_use(tx, wish.target, namespace=operation.namespace)
    bench.tell({"step": "connecting", "target": wish.target})
    return take(ports, actor, operation, bench, target, wish)


def import_snapshot(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:
    """Take the snapshot of a file that was sent as a blob, through the provider that reads files; gives its outcome.

    Raises:
        NotFoundError: The blob is gone.
        UnsupportedError: The file can't be a snapshot; all reasons are in the message.
        RegaliaError: Whatever kept it from being read or stored.
    """
    wish = ImportWish.parse(operation.request)
    folder = bench.folder / "import"
    folder.mkdir()
    bench.tell({"step": "fetching"})
    fetched(ports, wish.file, folder / wish.file_name)
    source = SnapshotWish(folder.name, wish.file_name, wish.name, wish.embedding)
    return take(ports, actor, operation, bench, folder_target(folder), source)


def release_collection(ports: Ports, operation: Operation, bench: Bench) -> None:
    """Let writers into the collection of a snapshot that came to no good end while they were stopped.

    Raises:
        UnavailableError: They are still stopped; the message says how to let them in.
    """
    parts = () if operation.journal is None else frozen_parts(operation.journal)
    if not parts:
        return
    wish = SnapshotWish.parse(operation.request)
    try:
        with ports.store.read() as tx:
            target = get_target(tx, wish.target)
        with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
            provider.source.thaw(wish.collection, parts)
    except RegaliaError as error:
        raise UnavailableError(
            f'writers of "{wish.collection}" in "{wish.target}" are still stopped: {error.message}',
            hint="let them in with the engine's own tools: in Weaviate, set its shards to READY",
        ) from error
