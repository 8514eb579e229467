"""The vectors of a segment's rows, as numpy takes them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from regalia.core.errors import DocumentError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.domain.snapshots.measures import Singles
from regalia_registry.segments.columns import Mask


def column_of(space: VectorSpace) -> str:
    """Name the column of a vector in a segment's rows."""
    return f"vector:{space.name}"


def vectors_of(table: pa.Table, space: VectorSpace) -> tuple[Singles, Mask]:
    """Give the vectors of those rows that have one, a row each, and a mark for each row that does.

    Raises:
        DocumentError: One has another size than the space, or they are no float32.
    """
    column = table[column_of(space)].combine_chunks()
    if column.type.value_type != pa.float32():
        raise DocumentError(f'a segment holds a vector "{space.name}" of {column.type.value_type}, not of float32')
    has = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    sizes = set(pc.unique(pc.list_value_length(column.drop_null())).to_pylist())
    if sizes - {space.dims}:
        raise DocumentError(f'a segment holds a vector "{space.name}" of another size than {space.dims}')
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, space.dims), has
