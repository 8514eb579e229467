"""The exact nearest rows of a canary's questions, out of stored segments.

They are found a block of rows at a time: a product of matrices, of float32 where that says enough, tells which may be
near, and those are measured among doubles.
"""

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.domain.snapshots.canary import KEPT, Neighbour, Question, questions_a_space
from regalia_registry.domain.snapshots.listing import Listing, Segment
from regalia_registry.domain.snapshots.measures import MEASURES, Singles
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.segments.columns import Mask, RowGroup, alive, row_groups
from regalia_registry.segments.vectors import column_of, vectors_of

Fetch = Callable[[Segment], Path]
Floats = NDArray[np.floating[Any]]
Places = NDArray[np.intp]
Tell = Callable[[int], None]

_PLACES = 8  # where questions are looked for: row groups that lie evenly apart
_BLOCK_ROWS = 4096
_SLACK = 1e-7  # what a product of matrices may be off by
_FLOAT32 = 2.0**-22  # what a sum of float32 may be off by, for each that is added
_IN_FLOAT32 = 1e-15, 1e15  # how long two vectors are whose product is no infinity and no zero of float32
_PIECE_ROWS = 256  # so many fit a processor's cache


def choose_questions(schema: Schema, listing: Listing, tombstones: bytes, rows: Fetch) -> list[Question]:
    """Choose questions that know no near rows yet: always the same ones of the same segments.

    They come from some row groups that lie evenly apart: of each, the live rows whose keys hash lowest.

    Raises:
        DocumentError: A file is no segment.
    """
    wanted = questions_a_space(schema)
    spaces = [space for space in schema.vectors if space.name in wanted and space.metric in MEASURES]
    candidates = [
        {space.name: _candidates(group, lives, space, wanted[space.name]) for space in spaces}
        for group, lives in _spread(listing, tombstones, rows)
    ]
    return [
        question
        for space in spaces
        for one in candidates
        for question in one[space.name][: math.ceil(wanted[space.name] / len(candidates))]
    ]


def measure(
    questions: Sequence[Question], schema: Schema, listing: Listing, tombstones: bytes, rows: Fetch, tell: Tell
) -> list[Question]:
    """Compare the live rows of all segments with the questions; gives them with the rows that are nearest of all.

    `tell` is told how many rows were compared.

    Raises:
        DocumentError: A file is no segment.
    """
    spaces = {space.name: space for space in schema.vectors}
    asked = groupby(sorted(questions, key=lambda one: one.space), lambda one: one.space)
    nearest = [_Nearest(list(some), spaces[name]) for name, some in asked]
    done = 0
    for segment in listing.segments if nearest else ():
        for group in row_groups(rows(segment), alive(segment, tombstones)):
            keys = group.keys()
            for one in nearest:
                vectors, has = vectors_of(group.read(column_of(one.space)), one.space)
                lives = group.marked[has]
                near = vectors if lives.all() else vectors[lives]
                one.add(near, np.flatnonzero(has)[lives], _reader(keys))
            done += int(group.marked.sum())
            tell(done)
    return [question for one in nearest for question in one.questions()]


class Watch:
    """Makes a canary while rows are stored, so that none is read again; its questions are of the first that come."""

    def __init__(self, schema: Schema) -> None:
        """Know no row yet."""
        wanted = questions_a_space(schema)
        self._wanted = {space: wanted[space.name] for space in schema.vectors if space.name in wanted}
        self._nearest: dict[str, _Nearest] = {}
        self._seen = dict.fromkeys((space.name for space in self._wanted), 0)

    def look(self, rows: pa.Table) -> None:
        """Take a row group, as it is stored."""
        for space, count in self._wanted.items():
            if space.metric not in MEASURES:
                continue
            vectors, has = vectors_of(rows, space)
            keys = rows["key"].filter(pa.array(has))
            if len(keys) and not self._seen[space.name]:
                self._choose(vectors, keys, space, count)
            self._seen[space.name] += len(keys)
            one = self._nearest.get(space.name)
            if one is not None:
                one.add(vectors, np.arange(len(keys)), _reader(keys))

    def questions(self) -> tuple[Question, ...] | None:
        """Give the canary; None where those who came later would have more to ask."""
        found = {name: list(one.questions()) for name, one in self._nearest.items()}
        for space, count in self._wanted.items():
            if len(found.get(space.name, ())) < min(count, self._seen[space.name]):
                return None
        return tuple(question for questions in found.values() for question in questions)

    def _choose(self, vectors: Singles, keys: pa.ChunkedArray, space: VectorSpace, count: int) -> None:
        lowest = _lowest(keys, vectors, np.ones(len(vectors), dtype=bool), space, count)
        if lowest:
            self._nearest[space.name] = _Nearest(lowest, space)


class _Nearest:
    """What is known of the questions of one vector, while blocks of rows go by."""

    def __init__(self, questions: Sequence[Question], space: VectorSpace) -> None:
        self.space = space
        self._questions = questions
        self._singles: Singles = np.stack([np.frombuffer(one.vector, "<f4") for one in questions])
        self._asked = self._singles.astype(np.float64)
        self._lengths = _lengths(self._asked)
        self._best = [list(one.near) for one in questions]
        self._limits = np.array([one.reach for one in questions])

    def add(self, vectors: Singles, places: Places, key_at: Callable[[int], bytes]) -> None:
        """Compare rows, whose keys are at these places."""
        for start in range(0, len(vectors), _BLOCK_ROWS):
            block = vectors[start : start + _BLOCK_ROWS]
            about, slack = self._measured(block)
            is_near = about <= (self._limits + slack)[:, None]
            for number in np.flatnonzero(is_near.any(axis=1)).tolist():
                rows = np.flatnonzero(is_near[number])
                if len(rows) > KEPT + 1:  # the question's own row is one of them
                    last = np.partition(about[number][rows], KEPT)[KEPT]
                    rows = rows[about[number][rows] <= last + slack[number]]
                near = block[rows].astype(np.float64)
                distances = MEASURES[self.space.metric](near, self._asked[number]).tolist()
                found = [key_at(place) for place in places[start + rows].tolist()]
                self._take(number, zip(distances, found, strict=True))

    def _measured(self, block: Singles) -> tuple[Floats, Floats]:
        """Measure a block from all questions, a row of distances each.

        Gives too what a distance that is near each question's limit may be off by.
        """
        metric, off = self.space.metric, 2 * _FLOAT32 * (self.space.dims + 4)
        if metric == "l1":
            return _about_l1(block, self._singles), self._limits * off
        lengths = _lengths(block)
        least, most = _IN_FLOAT32
        if metric != "l2" and all(least < one.min() and one.max() < most for one in (lengths, self._lengths)):
            about = _about(metric, block, lengths, self._singles, self._lengths.astype(np.float32))
            return about, off * (self._lengths * lengths.max() if metric == "dot" else np.ones(len(about)))
        doubles = block.astype(np.float64)
        lengths = _lengths(doubles)
        longest = lengths.max()
        about = _about(metric, doubles, lengths, self._asked, self._lengths)
        return about, _SLACK * np.maximum(1.0, np.maximum(self._lengths + longest, self._lengths * longest))

    def questions(self) -> Iterator[Question]:
        """Give the questions with what is near."""
        for question, best in zip(self._questions, self._best, strict=True):
            reach = best[-1].distance if len(best) == KEPT else question.reach
            yield replace(question, near=tuple(best), reach=reach)

    def _take(self, number: int, found: Iterable[tuple[float, bytes]]) -> None:
        question = self._questions[number]
        near = {one.key: one for one in self._best[number]}
        near |= {
            key: Neighbour(distance, key)
            for distance, key in found
            if key != question.key and distance < question.reach
        }
        best = heapq.nsmallest(KEPT, near.values())
        self._best[number] = best
        if len(best) == KEPT:
            self._limits[number] = min(best[-1].distance, question.reach)


def _about(metric: str, vectors: Floats, lengths: Floats, asked: Floats, asked_lengths: Floats) -> Floats:
    """Measure a block from all questions, a row of distances each, about as exactly as `_Nearest` allows for."""
    products: Floats = asked @ vectors.T
    if metric == "dot":
        return -products
    if metric == "cosine":
        scale = np.outer(asked_lengths, lengths)
        alike: Floats = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
        return 1.0 - alike
    squares: Floats = (asked_lengths**2)[:, None] + lengths**2 - 2 * products
    found: Floats = np.sqrt(np.maximum(squares, 0))
    return found


def _about_l1(rows: Singles, questions: Singles) -> Floats:
    """Measure in float32, in place: no product of matrices is a sum of absolute differences."""
    found = np.empty((len(questions), len(rows)), np.float32)
    ones, buffer = np.ones(rows.shape[1], np.float32), np.empty((_PIECE_ROWS, rows.shape[1]), np.float32)
    for start in range(0, len(rows), _PIECE_ROWS):
        piece = rows[start : start + _PIECE_ROWS]
        away = buffer[: len(piece)]
        for number, question in enumerate(questions):
            with np.errstate(over="ignore"):
                np.abs(np.subtract(piece, question, out=away), out=away)
                np.dot(away, ones, out=found[number, start : start + len(piece)])
    if not np.isfinite(found).all():  # beyond float32
        doubles = rows.astype(np.float64)
        return np.stack([MEASURES["l1"](doubles, one) for one in questions.astype(np.float64)])
    return found


def _reader(keys: pa.ChunkedArray) -> Callable[[int], bytes]:
    return lambda place: bytes(keys[place].as_py())


def _lengths(vectors: Floats) -> Floats:
    found: Floats = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return found


def _spread(listing: Listing, tombstones: bytes, rows: Fetch) -> Iterator[tuple[RowGroup, Mask]]:
    """Give some row groups that lie evenly apart, and which of the rows of each live."""
    total = sum(segment.count for segment in listing.segments)
    places = np.unique(np.arange(_PLACES) * total // _PLACES)
    start = 0
    for segment in listing.segments:
        here = places[(places >= start) & (places < start + segment.count)] - start
        start += segment.count
        if not len(here):
            continue
        wanted = np.zeros(segment.count, dtype=bool)
        wanted[here] = True
        lives = alive(segment, tombstones)
        for group in row_groups(rows(segment), wanted):
            yield group, lives[group.start : group.start + len(group.marked)]


def _candidates(group: RowGroup, lives: Mask, space: VectorSpace, count: int) -> list[Question]:
    """Give the live rows whose keys hash lowest, of those whose vector has a direction."""
    vectors, has = vectors_of(group.read(column_of(space)), space)
    usable = lives[has] & np.isfinite(vectors).all(axis=1)
    return _lowest(group.keys().filter(pa.array(has)), vectors, usable, space, count)


def _lowest(keys: pa.ChunkedArray, vectors: Singles, usable: Mask, space: VectorSpace, count: int) -> list[Question]:
    """Give the rows whose keys hash lowest, of those that are usable and whose vector has a direction."""
    known = keys.to_pylist()
    rows = np.flatnonzero(usable & vectors.any(axis=1)).tolist()
    chosen = heapq.nsmallest(count, ((sha256(known[row]).digest(), row) for row in rows))
    return [Question(space.name, known[row], vectors[row].tobytes()) for _, row in chosen]
