"""Exact distances between float32 vectors, by the metrics that engines index."""

import math
import struct
from collections.abc import Callable, Sequence

from regalia.core.errors import DocumentError

_FLOAT_BYTES = 4


def distance(metric: str, one: bytes, other: bytes) -> float:
    """Measure two vectors of little-endian float32; less is nearer, whatever the metric.

    Raises:
        DocumentError: The metric is unknown, or the vectors have different lengths.
    """
    measure = _METRICS.get(metric)
    if measure is None:
        raise DocumentError(f'there is no metric "{metric[:40]}"', hint=f"one of {', '.join(_METRICS)}")
    if len(one) != len(other):
        raise DocumentError(
            f"the vectors have {len(one) // _FLOAT_BYTES} and {len(other) // _FLOAT_BYTES} dimensions",
            hint="ask with the embedder that made the collection",
        )
    count = len(one) // _FLOAT_BYTES
    return measure(struct.unpack(f"<{count}f", one), struct.unpack(f"<{count}f", other))


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return math.fsum(map(float.__mul__, one, other))


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    lengths = math.sqrt(_dot(one, one) * _dot(other, other))
    return 1.0 if lengths == 0 else 1.0 - _dot(one, other) / lengths


_METRICS: dict[str, Callable[[Sequence[float], Sequence[float]], float]] = {
    "cosine": _cosine,
    "l2": math.dist,
    "dot": lambda one, other: -_dot(one, other),
    "l1": lambda one, other: math.fsum(abs(mine - theirs) for mine, theirs in zip(one, other, strict=True)),
}

METRICS = frozenset(_METRICS)
