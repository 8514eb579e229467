"""Exporting a snapshot: all its rows as one file that any tool opens, kept as a blob. Run by a worker."""

from contextlib import closing

from regalia.core.names import ArtifactName, Kind
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.access import Actor
from regalia_registry.domain.files import ExportWish
from regalia_registry.domain.operations import Operation
from regalia_registry.segments.comparing import Comparison, Side, Sign
from regalia_registry.segments.parquet import StoredFile
from regalia_registry.services.context import Bench, Ports
from regalia_registry.services.steps.filling import Filling, Planned
from regalia_registry.services.steps.keeping import Keeper
from regalia_registry.services.steps.snapshots import OpenedSnapshot, fetched_bytes, open_snapshot
from regalia_registry.services.steps.targets import folder_target


def export_snapshot(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:  # noqa: ARG001 # every doing is given who asked
    """Write a version into one file; a worker that takes it over starts over. Gives the file's digest and size.

    The file is marked with the version, and not with the operation: however often it is asked for, it is one blob. What
    is asked for since another version is the rows that are new or otherwise; those that are gone are counted.

    Raises:
        UnsupportedError: The file can't hold it.
        DigestError: What is stored is not what was taken.
    """
    wish = ExportWish.parse(operation.request)
    snapshot = open_snapshot(ports, ArtifactName(operation.namespace, Kind.SNAPSHOT, wish.name), version=wish.version)
    changed, removed = (None, 0) if wish.since is None else _changed(ports, operation, bench, snapshot, wish.since)
    folder = bench.folder / "export"
    folder.mkdir()
    with closing(bench.targets.connect(folder_target(folder), holder=bench.holder)) as provider:
        planned = Planned(wish.file_name, str(snapshot.stored.digest), ("writing", "completing the file"))
        filled = Filling(ports, bench, snapshot, provider, planned, changed).run(operation.journal)
    file = StoredFile.of(folder / wish.file_name)
    bench.tell({"step": "storing", "bytes": file.size_bytes})
    Keeper(ports, operation.namespace).file(file)
    return {
        "reference": f"{snapshot.stored.artifact}@{wish.version}",
        "file": str(file.digest),
        "size_bytes": file.size_bytes,
        "count": snapshot.config.count if changed is None else len(changed),
        "removed": removed,
        "fidelity": list(filled.hosted.fidelity),
    }


def _changed(
    ports: Ports, operation: Operation, bench: Bench, snapshot: OpenedSnapshot, since: tuple[str, str]
) -> tuple[frozenset[bytes], int]:
    """Name the keys that are new or otherwise since another version, and count those that are gone."""
    name, version = since
    before = open_snapshot(ports, ArtifactName(operation.namespace, Kind.SNAPSHOT, name), version=version)
    bench.tell({"step": "comparing"})
    folder = bench.folder / "comparing"
    folder.mkdir()
    old, new = Side(before.listing, before.tombstones), Side(snapshot.listing, snapshot.tombstones)
    compared = Comparison(folder, old, new, lambda one: fetched_bytes(ports, one.keys))
    changed, removed = set[bytes](), 0
    for change in compared.changes(lambda rows: bench.tell({"step": "comparing", "rows": rows, "of": compared.total})):
        if change.sign is Sign.REMOVED:
            removed += 1
        else:
            changed.add(change.key)
    return frozenset(changed), removed
