"""Proving a collection: what the engine gives back is what was loaded, and a search reaches all of it."""

from collections.abc import Iterator, Sequence

from regalia.core.errors import ConflictError
from regalia_registry.domain.snapshots.rows import Row, Rows
from regalia_registry.ports.vectors import Provider
from regalia_registry.segments.reading import verify_root
from regalia_registry.segments.spool import KeySpool
from regalia_registry.services.context import Bench
from regalia_registry.services.steps.filling import GROUP_ROWS, Filled


def prove(provider: Provider, collection: str, expected: Filled, bench: Bench) -> int:
    """Read a collection back, its schema and its root; gives how many of its rows no search finds.

    Raises:
        ConflictError: Its schema is another.
        DigestError: Its rows are others.
    """
    bench.tell({"step": "verifying", "rows": 0, "of": expected.count})
    found = provider.collections.describe(collection).schema
    if found != expected.hosted.schema:
        raise ConflictError(
            f'the collection "{collection}" came out with another schema', hint="is the target of the same version?"
        )
    keys = KeySpool(bench.folder / "read-keys")  # looked up afterwards: one connection does one thing at a time
    with provider.source.open(collection) as reading:

        def reached() -> Iterator[Sequence[Row]]:
            done = 0
            for batch in reading.batches():
                rows = Rows.of(batch)
                keys.add(rows.keys)
                yield rows
                done += len(rows)
                bench.tell({"step": "verifying", "rows": done, "of": expected.count})

        verify_root(bench.folder, found, expected.root, reached())
    done, lost = 0, 0
    for group in keys.groups(GROUP_ROWS):
        lost += len(provider.sink.unreachable(collection, group))
        done += len(group)
        bench.tell({"step": "searching every row", "rows": done, "of": expected.count})
    return lost
