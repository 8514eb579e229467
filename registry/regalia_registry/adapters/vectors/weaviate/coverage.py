"""Whether a search reaches what is stored: an index can lack rows that every count and every root includes."""

from collections.abc import Collection, Sequence

import numpy as np
from weaviate.proto.v1 import batch_delete_pb2, search_get_pb2

from regalia_registry.adapters.vectors.weaviate.connection import Connection
from regalia_registry.adapters.vectors.weaviate.messages import ASK, Held, identify, nearest, these, vectors_of

SLICE = 2000

_SAMPLE = 100
_NOBODY = "00000000-0000-8000-8000-000000000000"


def unreachable(
    connection: Connection, held: Held, keys: Collection[bytes], *, is_sample: bool = True
) -> frozenset[bytes]:
    """Name those of these keys that are not stored, or have a vector that its index does not find.

    An index of the kind hfresh is asked with the vectors of a sample: it has no exact answer to a filtered question.
    """
    by_id = {identify(key): key for key in keys}
    ids, lost = list(by_id), set[str]()
    for start in range(0, len(ids), SLICE):
        lost |= _lost_of(connection, held, ids[start : start + SLICE], is_sample=is_sample)
    return frozenset(by_id[one] for one in lost)


def flush(connection: Connection, name: str) -> None:
    """Make Weaviate write down the end of what its index knows: it acknowledges rows before, and a kill loses them.

    Every batch ends with that, so one does that deletes nothing, and only pretends to. A sealed class can't any more.
    """
    request = batch_delete_pb2.BatchDeleteRequest(collection=name, filters=these([_NOBODY]), dry_run=True)
    connection.call("BatchDelete", request)


def _lost_of(connection: Connection, held: Held, ids: Sequence[str], *, is_sample: bool) -> set[str]:
    """Look at one slice: what no index gives is looked up in the store, where a row may lack a vector rightly."""
    indexed = {space.name: space.is_exact for space in held.body.spaces if space.is_indexed}
    unseen: dict[str, set[str]] = {}
    for space in held.spaces:
        if space.name not in indexed:
            continue
        if not indexed[space.name]:
            unseen[space.name] = _not_finding_themselves(
                connection, held, space.name, ids[: _SAMPLE if is_sample else None]
            )
            continue
        ones = np.ones(space.dims, "<f4").tobytes()  # any vector does: the filter leaves these rows alone
        request = nearest(held, ones, space=space.name, limit=len(ids), filters=these(ids))
        unseen[space.name] = set(ids) - {hit.metadata.id for hit in connection.call("Search", request).results}
    doubtful = sorted(set().union(*unseen.values())) if unseen else list(ids)
    stored = _stored(connection, held, doubtful) if doubtful else {}
    lost = set(doubtful) - stored.keys()
    for name, missing in unseen.items():
        lost |= {one for one in missing if name in stored.get(one, {})}
    return lost


def _stored(connection: Connection, held: Held, ids: Sequence[str]) -> dict[str, dict[str, bytes]]:
    """Give the vectors of those ids that are stored, read past every index."""
    request = ASK(
        collection=held.name,
        limit=len(ids),
        filters=these(ids),
        metadata=search_get_pb2.MetadataRequest(
            uuid=True,
            vector=held.body.is_unnamed,
            vectors=[] if held.body.is_unnamed else [space.name for space in held.body.spaces],
        ),
    )
    found = connection.call("Search", request).results
    return {one.metadata.id: dict(vectors_of(one.metadata, held.body)) for one in found}


def _not_finding_themselves(connection: Connection, held: Held, space: str, ids: Sequence[str]) -> set[str]:
    found = set()
    for one, vectors in _stored(connection, held, ids).items():
        if space in vectors:
            hits = connection.call("Search", nearest(held, vectors[space], space=space, limit=10)).results
            found |= {one} & {hit.metadata.id for hit in hits}
    return set(ids) - found
