"""Exact distances of many vectors from one, by the metrics of `distances`: what reads whole collections measures by."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]
Vectors = NDArray[np.float64]


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
