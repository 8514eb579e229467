"""What every message to a class needs: which class, which of its rows, which answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from uuid import UUID

import numpy as np
from weaviate.proto.v1 import aggregate_pb2, base_pb2, base_search_pb2, search_get_pb2

from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.vectors.weaviate.grammar import UNNAMED, ClassBody
from regalia_registry.domain.snapshots.rows import decode_key

FP32 = base_pb2.Vectors.VECTOR_TYPE_SINGLE_FP32

# The editions of answers that this adapter reads.
ASK = partial(search_get_pb2.SearchRequest, uses_123_api=True, uses_125_api=True, uses_127_api=True)


@dataclass(frozen=True, slots=True)
class Held:
    """A class as it is to be read: its physical name, grammar, vectors; `is_timed` if updates are indexed."""

    name: str
    body: ClassBody
    spaces: tuple[VectorSpace, ...]
    is_timed: bool


def identify(key: bytes) -> str:
    """Name a row in Weaviate: a UUID is its own id, another key gives the same id whenever it is loaded."""
    value = decode_key(key)
    return str(value if isinstance(value, UUID) else UUID(bytes=sha256(key).digest()[:16], version=5))


def these(ids: Sequence[str]) -> base_pb2.Filters:
    """Ask for rows by their ids."""
    return base_pb2.Filters(
        operator=base_pb2.Filters.OPERATOR_CONTAINS_ANY,
        target=base_pb2.FilterTarget(property="_id"),
        value_text_array=base_pb2.TextArray(values=ids),
    )


def nearest(
    held: Held, vector: bytes, *, space: str, limit: int, filters: base_pb2.Filters | None = None
) -> search_get_pb2.SearchRequest:
    """Ask for the rows nearest to a vector."""
    near = base_search_pb2.NearVector(vector_bytes=vector)
    if not held.body.is_unnamed:
        near = base_search_pb2.NearVector(
            targets=base_search_pb2.Targets(target_vectors=[space]),
            vector_for_targets=[
                base_search_pb2.VectorForTarget(
                    name=space, vectors=[base_pb2.Vectors(name=space, vector_bytes=vector, type=FP32)]
                )
            ],
        )
    return ASK(
        collection=held.name,
        limit=limit,
        near_vector=near,
        filters=filters,
        metadata=search_get_pb2.MetadataRequest(uuid=True, distance=True),
    )


def count_indexed(held: Held, ids: Sequence[str], space: VectorSpace) -> aggregate_pb2.AggregateRequest:
    """Ask how many of these rows a vector's index gives: it is searched, but no row is read for the answer."""
    near = base_search_pb2.NearVector(
        vector_bytes=np.ones(space.dims, "<f4").tobytes(),  # any vector does: the filter leaves these rows alone
        targets=None if held.body.is_unnamed else base_search_pb2.Targets(target_vectors=[space.name]),
    )
    return aggregate_pb2.AggregateRequest(
        collection=held.name, objects_count=True, object_limit=len(ids), near_vector=near, filters=these(ids)
    )


def vectors_of(metadata: search_get_pb2.MetadataResult, body: ClassBody) -> Iterator[tuple[str, bytes]]:
    """Give a row's vectors sorted by name; absent ones are left out."""
    if body.is_unnamed:
        if metadata.vector_bytes:
            yield UNNAMED, metadata.vector_bytes
        return
    found = {one.name: content for one in metadata.vectors if (content := one.vector_bytes)}
    yield from sorted(found.items())
