"""Exact search: every row is compared, some thousand at a time."""

import heapq
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from regalia.core.errors import DocumentError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.domain.snapshots.rows import Row
from regalia_registry.ports.vectors import Hit

_FLOAT_BYTES = 4
_Floats = NDArray[np.float64]


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
    measure = _MEASURES.get(space.metric)
    if measure is None:
        raise DocumentError(
            f'"{space.name}" is measured by {space.metric[:40]}, which files don\'t search by',
            hint=f"one of {', '.join(_MEASURES)}",
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


# einsum: a row's sum does not depend on where in the block it stands, so that equal vectors are equally far.
def _dot(rows: _Floats, asked: _Floats) -> _Floats:
    found: _Floats = np.einsum("ij,j->i", rows, asked)
    return found


def _cosine(rows: _Floats, asked: _Floats) -> _Floats:
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows) * np.einsum("j,j->", asked, asked))
    alike: _Floats = np.divide(_dot(rows, asked), lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return 1.0 - alike


def _l2(rows: _Floats, asked: _Floats) -> _Floats:
    away = rows - asked
    found: _Floats = np.sqrt(np.einsum("ij,ij->i", away, away))
    return found


_MEASURES: dict[str, Callable[[_Floats, _Floats], _Floats]] = {
    "cosine": _cosine,
    "l2": _l2,
    "dot": lambda rows, asked: -_dot(rows, asked),
    "l1": lambda rows, asked: np.abs(rows - asked).sum(axis=1),
}
