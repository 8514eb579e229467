"""Exact search: every row is compared, some thousand at a time."""

import heapq
from collections.abc import Iterable, Sequence

import numpy as np

from regalia.core.errors import DocumentError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.domain.snapshots.measures import MEASURES
from regalia_registry.domain.snapshots.rows import Row
from regalia_registry.ports.vectors import Hit

_FLOAT_BYTES = 4


def nearest(batches: Iterable[Sequence[Row]], space: VectorSpace, vector: bytes, *, limit: int) -> list[Hit]:
    """Find the rows whose vector is nearest; the key decides between two that are equally near.

    Raises:
        DocumentError: The question has other dimensions.
    """
    if len(vector) != _FLOAT_BYTES * space.dims:
        raise DocumentError(
            f'the question has {len(vector) // _FLOAT_BYTES} dimensions, "{space.name}" has {space.dims}',
            hint="ask with the embedder that made the collection",
        )
    measure = MEASURES.get(space.metric)
    if measure is None:
        raise DocumentError(
            f'"{space.name}" is measured by {space.metric[:40]}, which files don\'t search by',
            hint=f"one of {', '.join(MEASURES)}",
        )
    asked = np.frombuffer(vector, "<f4").astype(np.float64)
    best: list[Hit] = []
    for rows in batches:
        having = [(row, content) for row in rows for name, content in row.vectors if name == space.name]
        if not having:
            continue
        there = np.frombuffer(b"".join(content for _, content in having), "<f4").reshape(-1, space.dims)
        measured = measure(there.astype(np.float64), asked).tolist()
        hits = [Hit(row.key, found, row.properties) for (row, _), found in zip(having, measured, strict=True)]
        best = heapq.nsmallest(limit, [*best, *hits], key=lambda hit: (hit.distance, hit.key))
    return best
