"""The content root: one hash over all rows, whatever order or layout they are stored in.

256 buckets by the first byte of SHA-256(key); within one, rows stand in the order of SHA-256(key), so that any stream
order gives the same root and no engine sorts. Two roots that differ differ in the buckets that can be named.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import pairwise

from regalia.core.digest import Digest
from regalia.core.errors import DocumentError

BUCKETS = 256

_ROOT = b"regroot/1\0"


def bucket_digest(entries: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Hash one bucket.

    Args:
        entries: Pairs of SHA-256(key) and row digest, 32 bytes each, in any order.

    Raises:
        DocumentError: A key stands twice.
    """
    ordered = sorted(entries)
    for (one, _), (other, _) in pairwise(ordered):
        if one == other:
            raise DocumentError("two rows have the same key", hint="a collection's keys are unique; remove one of them")
    return sha256(b"".join(digest for _, digest in ordered)).digest()


def content_root(schema: Digest, *, count: int, buckets: Sequence[bytes]) -> Digest:
    """Bind the schema, the number of rows and all buckets."""
    if len(buckets) != BUCKETS:
        raise DocumentError(f"a content root has {BUCKETS} buckets, got {len(buckets)}")
    body = _ROOT + bytes.fromhex(schema.hex) + count.to_bytes(8, "big") + b"".join(buckets)
    return Digest.of(body)


def differing(one: Sequence[bytes], other: Sequence[bytes]) -> tuple[int, ...]:
    """Name the buckets in which two lists of bucket digests differ."""
    return tuple(number for number, (mine, theirs) in enumerate(zip(one, other, strict=True)) if mine != theirs)
