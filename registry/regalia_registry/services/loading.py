"""Loading a snapshot into a new collection, and proving that what is there is what was taken. Run by a worker."""

import base64
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from regalia.core.errors import RegaliaError, UnavailableError
from regalia.core.fields import Fields
from regalia.core.names import ArtifactName, Kind
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.access import Actor
from regalia_registry.domain.operations import LoadWish, Operation, VerifyWish
from regalia_registry.domain.snapshots.listing import Segment
from regalia_registry.segments.verifying import Verification
from regalia_registry.services.context import Bench, Ports
from regalia_registry.services.steps.canaries import Held, check_canary
from regalia_registry.services.steps.filling import JOURNAL, Filling, Planned
from regalia_registry.services.steps.proving import prove
from regalia_registry.services.steps.snapshots import fetched, open_snapshot
from regalia_registry.services.steps.targets import get_target, require_use

_SUFFIX_BYTES = 5


def load_snapshot(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:  # noqa: ARG001 # every doing is given who asked
    """Load a version into a collection of its own name, index it, and read it back.

    The name comes from the operation, so that a worker that takes it over goes on in the same collection; it stands in
    the journal before there is one. Where the engine holds the snapshot as another schema, what is proved is the root
    of the translated rows under that schema.

    Raises:
        UnsupportedError: The target can't hold it.
        ConflictError: What is there in the end is not what was loaded, or its index has less recall than was asked for.
    """
    wish = LoadWish.parse(operation.request)
    snapshot = open_snapshot(ports, ArtifactName(operation.namespace, Kind.SNAPSHOT, wish.name), version=wish.version)
    with ports.store.read() as tx:
        target = require_use(tx, wish.target, namespace=operation.namespace)
    bench.tell({"step": "connecting", "target": wish.target})
    with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
        collection = provider.physical_name(wish.logical, _suffix(operation.id))
        planned = Planned(collection, operation.id)
        filled = Filling(ports, bench, snapshot, provider, planned).run(operation.journal)
        lost = prove(provider, collection, filled, bench)
        if lost:  # of an engine that was killed meanwhile; the next try loads them anew
            raise UnavailableError(
                f'{lost} rows of "{collection}" are stored and can\'t be found by a search',
                hint="load it again, under another name",
            )
        told = check_canary(ports, bench, snapshot, provider, Held(collection, filled.hosted.schema, wish.min_recall))
    return {
        "collection": collection,
        "target": wish.target,
        "count": snapshot.config.count,
        "content_root": str(filled.root),
        "fidelity": list(filled.hosted.fidelity),
        **told,
    }


def unload_snapshot(ports: Ports, operation: Operation, bench: Bench) -> None:
    """Remove the collection of a load that came to no good end.

    Raises:
        UnavailableError: It is still there; the message names it.
    """
    if operation.journal is None:
        return
    wish, collection = LoadWish.parse(operation.request), Fields(operation.journal, JOURNAL).text("collection")
    try:
        with ports.store.read() as tx:
            target = get_target(tx, wish.target)
        with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
            provider.collections.drop(collection, mark=operation.id)
    except RegaliaError as error:
        raise UnavailableError(
            f'its half-made collection "{collection}" is left in the target "{wish.target}": {error.message}',
            hint=f'nothing reads it: drop "{collection}" with the engine\'s own tools',
        ) from error


def verify_snapshot(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:  # noqa: ARG001 # every doing is given who asked
    """Hash every file of a stored version, and compare every row with its file of keys, and all with the root.

    Raises:
        DigestError: A segment is damaged, or its keys are not its rows', or the rows are not what the root says.
        NotFoundError: A segment is gone.
    """
    wish = VerifyWish.parse(operation.request)
    snapshot = open_snapshot(ports, ArtifactName(operation.namespace, Kind.SNAPSHOT, wish.name), version=wish.version)

    files = _made(bench.folder / "segments")

    def fetch(segment: Segment) -> tuple[Path, Path]:
        for left in files.iterdir():
            left.unlink()
        keys = fetched(ports, segment.keys, files / segment.keys_title)
        return keys, fetched(ports, segment.rows, files / segment.rows_title)

    verification = Verification(bench.folder, snapshot.schema, snapshot.listing, snapshot.tombstones, fetch)
    count = 0
    for count in verification.run(snapshot.config.content_root):
        bench.tell({"step": "reading", "rows": count, "of": snapshot.config.count})
    return {"reference": f"{snapshot.stored.artifact}@{wish.version}", "count": count, "verified": True}


def _suffix(operation_id: str) -> str:
    """Give eight characters that belong to this operation alone."""
    return base64.b32encode(sha256(operation_id.encode()).digest()[:_SUFFIX_BYTES]).decode("ascii").lower()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
