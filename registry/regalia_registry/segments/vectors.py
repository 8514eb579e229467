"""Vectors as numpy measures them: columns of a segment's rows, and the distances of a block of them from a question."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from regalia.core.errors import DocumentError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.segments.columns import Mask

Vectors = NDArray[np.float64]


def column_of(space: VectorSpace) -> str:
    """Name the column of a vector in a segment's rows."""
    return f"vector:{space.name}"


def vectors_of(table: pa.Table, space: VectorSpace) -> tuple[Vectors, Mask]:
    """Give the vectors of those rows that have one, a row each, and a mark for each row that does.

    Raises:
        DocumentError: One has another size than the space.
    """
    column = table[column_of(space)].combine_chunks()
    has = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    sizes = set(pc.unique(pc.list_value_length(column.drop_null())).to_pylist())
    if sizes - {space.dims}:
        raise DocumentError(f'a segment holds a vector "{space.name}" of another size than {space.dims}')
    flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    return flat.reshape(-1, space.dims), has


# einsum: a row's sum does not depend on where in the block it stands, so that equal vectors are equally far.
def _dot(vectors: Vectors, asked: Vectors) -> Vectors:
    found: Vectors = np.einsum("ij,j->i", vectors, asked)
    return found


def _cosine(vectors: Vectors, asked: Vectors) -> Vectors:
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors) * np.einsum("j,j->", asked, asked))
    alike: Vectors = np.divide(_dot(vectors, asked), lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return 1.0 - alike


def _l2(vectors: Vectors, asked: Vectors) -> Vectors:
    away = vectors - asked
    found: Vectors = np.sqrt(np.einsum("ij,ij->i", away, away))
    return found


def _l1(vectors: Vectors, asked: Vectors) -> Vectors:
    found: Vectors = np.abs(vectors - asked).sum(axis=1)
    return found


MEASURES: dict[str, Callable[[Vectors, Vectors], Vectors]] = {
    "cosine": _cosine,
    "l2": _l2,
    "dot": lambda vectors, asked: -_dot(vectors, asked),
    "l1": _l1,
}
