"""The layer `canary.parquet`."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from regalia.core.errors import DocumentError
from regalia_registry.domain.snapshots.canary import Neighbour, Question, require_canary
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.segments.columns import row_groups, translated
from regalia_registry.segments.parquet import count_rows

_MAX_ROWS = 64 * 64
_LAYER = pa.schema(
    [
        pa.field("space", pa.string(), nullable=False),
        pa.field("key", pa.binary(), nullable=False),
        pa.field("vector", pa.list_(pa.float32()), nullable=False),
        pa.field("near", pa.list_(pa.binary()), nullable=False),
        pa.field("distances", pa.list_(pa.float64()), nullable=False),
        pa.field("reach", pa.float64(), nullable=False),
        pa.field("found", pa.int32()),
    ]
)


def write_canary(questions: Sequence[Question]) -> bytes:
    """Write the layer."""
    columns = {
        "space": [one.space for one in questions],
        "key": [one.key for one in questions],
        "vector": [np.frombuffer(one.vector, "<f4") for one in questions],
        "near": [[near.key for near in one.near] for one in questions],
        "distances": [[near.distance for near in one.near] for one in questions],
        "reach": [one.reach for one in questions],
        "found": [one.found for one in questions],
    }
    body = BytesIO()
    pq.write_table(
        pa.table(columns, schema=_LAYER), body, compression="zstd", write_statistics=False, store_schema=False
    )
    return body.getvalue()


def read_canary(path: Path, schema: Schema) -> tuple[Question, ...]:
    """Read the layer; its file is anybody's.

    Raises:
        DocumentError: It is no canary of a snapshot of this schema.
    """
    count = count_rows(path)
    if count > _MAX_ROWS:
        raise _no_canary(path)
    groups = row_groups(path, np.ones(count, dtype=bool))
    found: list[Question] = []
    for group in groups:
        if len(group.marked) != count:  # one row group, so that one bound is the file's
            raise _no_canary(path)
        read = group.read(*_LAYER.names)
        with translated(path.name):
            found += map(_question, read.cast(_LAYER).to_pylist())
    require_canary(found, schema)
    return tuple(found)


def _question(row: dict[str, Any]) -> Question:
    """Turn a row into a question.

    Raises:
        ValueError: Its lists do not agree, or hold nothing where something must be.
    """
    vector, near, distances = np.asarray(row["vector"], "<f4"), row["near"], row["distances"]
    if None in near or None in distances or not np.isfinite(vector).all():
        raise ValueError("a list holds null, or a vector NaN")
    neighbours = tuple(map(Neighbour, distances, near))
    if len(neighbours) != max(len(near), len(distances)):
        raise ValueError("its lists have different lengths")
    return Question(row["space"], row["key"], vector.tobytes(), neighbours, row["reach"], row["found"])


def _no_canary(path: Path) -> DocumentError:
    return DocumentError(f'"{path.name}" is no canary', hint="take the snapshot again")
